package localjwt_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// cachingProxy is a shared cache in front of an issuer (RFC 9111). It serves its
// copy, with an Age field, for maxAge.
type cachingProxy struct {
	*issuer
	maxAge         time.Duration
	honoursNoCache bool // Cache-Control of requests, which many caches ignore

	mu     sync.Mutex
	body   string
	stored time.Time
}

func (c *cachingProxy) answer(r *http.Request) *http.Response {
	c.mu.Lock()
	defer c.mu.Unlock()
	age := time.Since(c.stored)
	direct := c.honoursNoCache && r.Header.Get("Cache-Control") == "no-cache"
	header := []string{"Cache-Control", fmt.Sprint("max-age=", c.maxAge/time.Second)}
	if direct || age >= c.maxAge {
		c.body, c.stored = string(c.JWKS()), time.Now()
	} else {
		header = append(header, "Age", fmt.Sprint(int(age/time.Second)))
	}
	return reply(200, c.body, header...)
}

// A copy of the key set in a cache is as old as its Age. A token that may be
// younger than the copy is not refused for a key that the copy does not have.
func TestRotationBehindACacheRefusesNoToken(t *testing.T) {
	for _, maxAge := range []time.Duration{10 * time.Second, 2 * time.Minute, 10 * time.Minute} {
		for _, honoursNoCache := range []bool{true, false} {
			t.Run(fmt.Sprint(maxAge, " honoursNoCache ", honoursNoCache), func(t *testing.T) {
				bubble(t, func(t *testing.T, as *issuer) {
					cache := &cachingProxy{issuer: as, maxAge: maxAge, honoursNoCache: honoursNoCache}
					as.answer(cache.answer)
					in := as.introspector(t, func(c *localjwt.Config) { c.Leeway = -1 }) // so that only Age prevents a refusal
					pass(maxAge / 3)
					// Another reader has filled the cache, with a copy that is newer than ours.
					cache.answer(&http.Request{})
					require.Equal(t, ok, send(t, in, as.Mint(nil)))
					pass(100 * time.Millisecond)
					as.Rotate()
					var good tally
					start, found := time.Now(), time.Duration(-1)
					repeat(time.Second, maxAge+6*time.Second, func() {
						status := send(t, in, as.Mint(nil)).status
						if good.count(status); status == 204 && found < 0 {
							found = time.Since(start)
						}
					})
					t.Logf("good tokens by status: %v, the key was found after %v", good.statuses, found)
					assert.Zero(t, good.statuses[401])
					assert.GreaterOrEqual(t, found, time.Duration(0))
					if honoursNoCache {
						assert.Zero(t, found, "the cache passes the request to the server")
					}
				})
			})
		}
	}
}

// Any Age that can be read means that a cache answered without the server.
func TestAgeOfTheAnswerThatATokenCauses(t *testing.T) {
	tests := []struct {
		age  string
		iat  time.Duration // before the fetch
		want int
	}{
		{"", 0, 401}, // the server has answered after the token came
		{"0", 0, 503},
		{"0", time.Second, 503}, // up to a second of rounding
		{"0", 2 * time.Second, 401},
		{"100", 101 * time.Second, 503},
		{"100", 102 * time.Second, 401},
	}
	for _, tt := range tests {
		for _, status := range []int{200, 304} {
			t.Run(fmt.Sprint(tt.age, " ", tt.iat, " ", status), func(t *testing.T) {
				bubble(t, func(t *testing.T, as *issuer) {
					as.answer(fixed(200, string(as.JWKS()), "ETag", `"1"`))
					in := as.introspector(t, func(c *localjwt.Config) { c.Leeway = -1 })
					require.Equal(t, ok, send(t, in, as.Mint(nil)))
					pass(time.Minute)
					as.answer(fixed(status, string(as.JWKS()), "ETag", `"1"`, "Age", tt.age))
					iat := oauthztest.Claims{"iat": time.Now().Add(-tt.iat)}
					assert.Equal(t, tt.want, send(t, in, as.mintUnknown("bogus", iat)).status)
					assert.Equal(t, ok, send(t, in, as.Mint(nil)))
				})
			})
		}
	}
}

// A scheduled fetch accepts the answer of a cache, and the next fetch comes within
// the rest of max-age. A fetch that a token causes does not accept it.
func TestScheduledFetchesUseTheCaches(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		var mu sync.Mutex
		var asked []string
		as.answer(func(r *http.Request) *http.Response {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, r.Header.Get("Cache-Control"))
			return reply(200, string(as.JWKS()), "Cache-Control", "max-age=3600", "Age", "3000")
		})
		headers := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(asked)
		}
		in := as.introspector(t)
		pass(299 * time.Second)
		require.Equal(t, []string{""}, headers(), "not before half of the 600 seconds that are left")
		pass(302 * time.Second)
		require.Equal(t, []string{"", ""}, headers())
		send(t, in, as.mintUnknown("bogus", nil))
		require.Equal(t, []string{"", "", "no-cache"}, headers())
		pass(601 * time.Second)
		assert.Equal(t, []string{"", "", "no-cache", ""}, headers()[:4])
	})
}
