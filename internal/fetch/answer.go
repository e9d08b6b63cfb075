package fetch

import (
	"mime"
	"net/http"
	"strconv"
	"time"
)

// RetryAfter reads Retry-After (RFC 9110 §10.2.3): seconds, or a date, of which
// one that is past is zero. It is false if there is none that can be read.
func (r *Response) RetryAfter(now time.Time) (time.Duration, bool) {
	value := r.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(date.Sub(now), 0), true
	}
	return 0, false
}

// maxMediaType bounds a Content-Type: net/http takes 1 MiB, of which package mime
// makes a third of a second of work.
const maxMediaType = 1 << 10

// MediaType is that of an answer, in lower case and without parameters: "" if
// the header has none, "?" if it has one that cannot be read, or is too long.
func MediaType(h http.Header) string {
	value := h.Get("Content-Type")
	if value == "" {
		return ""
	}
	if len(value) > maxMediaType {
		return "?"
	}
	typ, _, err := mime.ParseMediaType(value)
	if err != nil {
		return "?"
	}
	return typ
}

// IsJSON says whether an answer may be JSON: a page of a proxy is not. No content
// type, which some servers send, is taken for JSON; the body then has to be it.
func IsJSON(h http.Header) bool {
	typ := MediaType(h)
	return typ == "" || typ == "application/json"
}
