package gusto

import (
	"net/http"
	"strconv"
	"time"
)

// RateLimit is what Gusto says of the limit of calls for the token that was
// sent: 200 in 60 seconds, for each application and user. It is zero where the
// answer says nothing.
type RateLimit struct {
	Limit, Remaining int
	Reset            time.Time
}

// resetLayout is Gusto's own: 2025-07-08 15:35:40 -0700.
const resetLayout = "2006-01-02 15:04:05 -0700"

func readRateLimit(h http.Header) RateLimit {
	var limit RateLimit
	limit.Limit = readCount(h.Get("X-RateLimit-Limit"))
	limit.Remaining = readCount(h.Get("X-RateLimit-Remaining"))
	if reset, err := time.Parse(resetLayout, h.Get("X-RateLimit-Reset")); err == nil {
		limit.Reset = reset
	}
	return limit
}

func readCount(s string) int {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}
