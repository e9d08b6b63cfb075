package localjwt_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// tally counts answers by their status.
type tally struct {
	mu       sync.Mutex
	statuses map[int]int
}

func (c *tally) count(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.statuses == nil {
		c.statuses = map[int]int{}
	}
	c.statuses[status]++
}

// every calls f at each step for the time d.
func every(step, d time.Duration, f func()) {
	for end := time.Now().Add(d); time.Now().Before(end); <-time.After(step) {
		f()
	}
}

// Clocks that differ by less than the leeway make no rotation refuse a good
// token, though forged key names take every slot for a fetch.
func TestRotationRefusesNobodyWithAClockThatIsOff(t *testing.T) {
	for _, ahead := range []time.Duration{-3 * time.Second, 0, 3 * time.Second, 58 * time.Second} {
		t.Run(ahead.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, as *issuer) {
				as.answer(func(*http.Request) *http.Response {
					<-time.After(100 * time.Millisecond)
					return reply(200, string(as.JWKS()))
				})
				in := as.introspector(t, func(cfg *localjwt.Config) {
					cfg.Now = func() time.Time { return time.Now().Add(ahead) }
				})
				require.Equal(t, ok, ask(t, in, as.Mint(nil)))
				var good tally
				before := as.fetches.Load()
				var forgers sync.WaitGroup
				forgers.Go(func() {
					every(100*time.Millisecond, time.Minute, func() { ask(t, in, as.bogus(fmt.Sprint("forged-", rand.Int()), nil)) })
				})
				for range 5 {
					pass(rand.N(5 * time.Second))
					as.Rotate()
					token, start, found := as.Mint(nil), time.Now(), time.Duration(-1)
					every(50*time.Millisecond, 7*time.Second, func() {
						status := ask(t, in, token).status
						if good.count(status); status == 204 && found < 0 {
							found = time.Since(start)
						}
					})
					assert.GreaterOrEqual(t, found, time.Duration(0))
					assert.LessOrEqual(t, found, 5*time.Second+300*time.Millisecond)
				}
				forgers.Wait()
				t.Logf("good tokens by status: %v", good.statuses)
				assert.Zero(t, good.statuses[401])
				assert.LessOrEqual(t, as.fetches.Load()-before, int64(13), "fetches in a minute")
			})
		})
	}
}

// restart makes as publish the keys of other, which have the same names, and
// returns what mints with them.
func (as *issuer) restart(t *testing.T, other *oauthztest.Server) (mint func() string) {
	t.Helper()
	require.Equal(t, as.Keys(), other.Keys())
	as.answer(fixed(200, string(other.JWKS())))
	return func() string { return other.Mint(oauthztest.Claims{"iss": as.Issuer()}) }
}

// forge replaces the signature of token by another one's.
func forge(token, of string) string {
	return token[:strings.LastIndexByte(token, '.')] + of[strings.LastIndexByte(of, '.'):]
}

// A server that restarts makes a new key and calls it as it called the old one.
func TestServerThatReusesAKeyNameRefusesNobody(t *testing.T) {
	for name, tt := range map[string]struct {
		algorithm string
		forgeries bool
	}{
		"same kind of key": {"ES256", false}, "another kind of key": {"RS256", false}, "another curve": {"ES384", false},
		"with forgeries": {"ES256", true},
	} {
		t.Run(name, func(t *testing.T) {
			other := server(t, oauthztest.Config{Algorithm: tt.algorithm})
			other.Keys() // made outside of the bubble, as the server is
			bubble(t, func(t *testing.T, as *issuer) {
				in := as.introspector(t)
				old := as.Mint(oauthztest.Claims{"exp": time.Now().Add(time.Hour)})
				got, err := in.Introspect(t.Context(), old)
				require.NoError(t, err)
				pass(10 * time.Minute)
				before := as.fetches.Load()
				if tt.forgeries { // which take the slot for a fetch a moment before
					require.Equal(t, refused, ask(t, in, forge(as.Mint(nil), old)))
				}
				mint := as.restart(t, other)
				var good tally
				every(50*time.Millisecond, 10*time.Second, func() {
					good.count(ask(t, in, mint()).status)
					if tt.forgeries {
						ask(t, in, forge(mint(), old))
					}
				})
				t.Logf("good tokens by status: %v", good.statuses)
				assert.Zero(t, good.statuses[401])
				assert.GreaterOrEqual(t, good.statuses[204], 95)
				assert.LessOrEqual(t, as.fetches.Load()-before, int64(4), "one fetch an interval")
				assert.NotEqual(t, ok, ask(t, in, old), "the old key is gone")
				_, live := got.Validity()
				assert.False(t, live)
			})
		})
	}
}

// Signatures that fail under a published name cost the issuer one fetch an
// interval, and a token that is older than the keys none at all. A refusal that
// a new key of that name could make wrong is not remembered.
func TestForgedSignaturesCostOneFetchAnInterval(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		good := as.Mint(nil)
		require.Equal(t, ok, ask(t, in, good))
		pass(time.Minute)
		before := as.fetches.Load()
		forged := forge(as.Mint(nil), good)
		_, err := in.Introspect(t.Context(), forged)
		require.ErrorIs(t, err, oauthz.ErrInvalidToken)
		var temporary interface{ Temporary() bool }
		require.ErrorAs(t, err, &temporary)
		assert.True(t, temporary.Temporary())
		for range 1000 {
			require.Equal(t, unavailable("5"), ask(t, in, forged))
		}
		assert.Equal(t, before+1, as.fetches.Load())
		assert.Equal(t, ok, ask(t, in, good))

		pass(time.Minute)
		for _, iat := range []any{time.Now().Add(-5 * time.Minute), oauthztest.Absent, "now"} {
			_, err = in.Introspect(t.Context(), forge(as.Mint(oauthztest.Claims{"iat": iat}), good))
			require.ErrorIs(t, err, oauthz.ErrInvalidToken)
			assert.NotErrorAs(t, err, &temporary)
		}
		assert.Equal(t, before+1, as.fetches.Load())
	})
}

// A token whose key is known is verified at once while a failing signature
// under the same name waits for a fetch.
func TestFailingSignatureDelaysNoOther(t *testing.T) {
	bubble(t, func(t *testing.T, as *issuer) {
		in := as.introspector(t)
		good := as.Mint(nil)
		require.Equal(t, ok, ask(t, in, good))
		pass(10 * time.Minute)
		as.answer(hang)
		before, start := as.fetches.Load(), time.Now()
		go func() { assert.Equal(t, 503, ask(t, in, forge(as.Mint(nil), good)).status) }()
		synctest.Wait()
		require.Equal(t, before+1, as.fetches.Load(), "it waits")
		assert.Equal(t, ok, ask(t, in, as.Mint(nil)))
		assert.Zero(t, time.Since(start))
		pass(5 * time.Second)
	})
}
