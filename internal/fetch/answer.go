package fetch

import (
	"mime"
	"net/http"
	"strconv"
	"time"
)

// RetryAfter returns the time until the moment that Retry-After names (RFC 9110
// §10.2.3), in seconds or as a date. A date in the past gives zero. RetryAfter
// returns false if there is no Retry-After that can be read.
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

// maxMediaType bounds a Content-Type, in bytes. net/http accepts 1 MiB, which takes
// package mime a third of a second to parse.
const maxMediaType = 1 << 10

// MediaType returns the media type of an answer, in lower case and without
// parameters: "" if the header has no Content-Type, "?" if its Content-Type cannot
// be read or is too long.
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

// IsJSON reports whether an answer may be JSON, by its Content-Type: the HTML page
// of a proxy is not. Some servers send JSON without a Content-Type, so an answer
// without one may be JSON too. The caller must still parse the body.
func IsJSON(h http.Header) bool {
	typ := MediaType(h)
	return typ == "" || typ == "application/json"
}
