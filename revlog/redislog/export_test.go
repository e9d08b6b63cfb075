package redislog

// ParseID is for the fuzz target.
func ParseID(s string) (id string, ok bool) {
	parsed, ok := parseID(s)
	return parsed.String(), ok
}

// DecodeReply is for the fuzz target: it returns how many entries there are.
func DecodeReply(reply any, keys ...string) (int, error) {
	entries, err := decodeReply(reply, keys)
	return len(entries), err
}
