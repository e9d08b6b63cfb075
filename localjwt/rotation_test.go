package localjwt_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/localjwt"
	"github.com/oauthz/oauthz/oauthztest"
)

// A rotation refuses no good token if clocks differ by less than the leeway, even
// while forged key names cause every fetch that an interval allows.
func TestRotationRefusesNoTokenOfASkewedClock(t *testing.T) {
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
				require.Equal(t, ok, send(t, in, as.Mint(nil)))
				var good tally
				before := as.fetches.Load()
				var forgers sync.WaitGroup
				forgers.Go(func() {
					repeat(100*time.Millisecond, time.Minute, func() { send(t, in, as.mintUnknown(fmt.Sprint("forged-", rand.Int()), nil)) })
				})
				for range 5 {
					pass(rand.N(5 * time.Second))
					as.Rotate()
					token, start, found := as.Mint(nil), time.Now(), time.Duration(-1)
					repeat(50*time.Millisecond, 7*time.Second, func() {
						status := send(t, in, token).status
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

// A server that restarts makes a new key with the name of the old key.
func TestReusedKeyNameRefusesNoToken(t *testing.T) {
	for name, tt := range map[string]struct {
		algorithm string
		forgeries bool
	}{
		"same kind of key": {"ES256", false}, "another kind of key": {"RS256", false}, "another curve": {"ES384", false},
		"with forgeries": {"ES256", true},
	} {
		t.Run(name, func(t *testing.T) {
			other := server(t, oauthztest.Config{Algorithm: tt.algorithm})
			other.Keys() // makes the key outside of the bubble
			bubble(t, func(t *testing.T, as *issuer) {
				in := as.introspector(t)
				old := as.Mint(oauthztest.Claims{"exp": time.Now().Add(time.Hour)})
				got, err := in.Introspect(t.Context(), old)
				require.NoError(t, err)
				pass(10 * time.Minute)
				before := as.fetches.Load()
				if tt.forgeries { // a forgery causes the one fetch of the interval just before
					require.Equal(t, refused, send(t, in, forge(as.Mint(nil), old)))
				}
				mint := as.restart(t, other)
				var good tally
				repeat(50*time.Millisecond, 10*time.Second, func() {
					good.count(send(t, in, mint()).status)
					if tt.forgeries {
						send(t, in, forge(mint(), old))
					}
				})
				t.Logf("good tokens by status: %v", good.statuses)
				assert.Zero(t, good.statuses[401])
				assert.GreaterOrEqual(t, good.statuses[204], 95)
				assert.LessOrEqual(t, as.fetches.Load()-before, int64(4), "one fetch an interval")
				assert.NotEqual(t, ok, send(t, in, old), "the old key is gone")
				_, live := got.Validity()
				assert.False(t, live)
			})
		})
	}
}
