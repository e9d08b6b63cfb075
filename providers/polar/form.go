package polar

import (
	"hash/crc32"
	"strings"
)

// The form of Polar's secrets: a prefix that says what it is, 37 random letters
// and digits, and the CRC-32 (IEEE) of these 37 in base 62, the most significant
// digit first and zeros before it up to 6 digits. The prefix is not in the
// checksum.
const (
	randomChars   = 37
	checksumChars = 6
	base62        = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// isAccessToken keeps from Polar what it cannot have issued: it would answer 500
// to what is not ASCII, and a token of somebody else is none of its business.
func isAccessToken(s string) bool { return hasForm(s, "polar_at_u_", "polar_at_o_") }

func isRefreshToken(s string) bool { return hasForm(s, "polar_rt_u_", "polar_rt_o_") }

func hasForm(s string, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if body, ok := strings.CutPrefix(s, prefix); ok {
			return isBody(body)
		}
	}
	return false
}

func isBody(body string) bool {
	if len(body) != randomChars+checksumChars {
		return false
	}
	random, sum := body[:randomChars], body[randomChars:]
	if strings.Trim(random, base62) != "" { // what is left begins with another character
		return false
	}
	return sum == checksum(random)
}

func checksum(random string) string {
	var digits [checksumChars]byte
	rest := crc32.ChecksumIEEE([]byte(random))
	for i := range digits {
		digits[len(digits)-1-i] = base62[rest%62]
		rest /= 62
	}
	return string(digits[:])
}
