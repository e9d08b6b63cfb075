package remote_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/oauthztest"
	"github.com/oauthz/oauthz/remote"
)

// Metadata that came over https must not name an http endpoint: the secret of this API
// and the token of the caller would go to an unauthenticated process on loopback.
func TestMetadataOverHTTPSSendsNoSecretOverHTTP(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]error{
		"https://issuer.example/i": nil,
		"http://127.0.0.1:8089/i":  oauthz.ErrUnavailable,
		"http://localhost/i":       oauthz.ErrUnavailable,
	} {
		t.Run(endpoint, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var plain atomic.Int64
				in := bubbled(t, func(r *http.Request) (*http.Response, error) {
					if r.URL.Scheme == "http" {
						plain.Add(1)
					}
					if strings.HasPrefix(r.URL.Path, "/.well-known/") {
						return reply(200, `{"issuer":"https://issuer.example","introspection_endpoint":"`+endpoint+`"}`), nil
					}
					return reply(200, good), nil
				}, withDiscovery, withAuth(remote.Basic("api", "secret")))
				_, err := in.Introspect(t.Context(), "opaque")
				require.ErrorIs(t, err, want)
				assert.Zero(t, plain.Load())
			})
		})
	}
}

// A discovered endpoint of the fake authorization server, with client authentication
// and a revocation.
func TestDiscoveredEndpoint(t *testing.T) {
	t.Parallel()
	as := oauthztest.NewServer(oauthztest.Config{ClientID: "api", ClientSecret: "s e:c+ret"})
	t.Cleanup(as.Close)
	config := remote.Config{Issuer: as.Issuer(), Auth: remote.Basic("api", "s e:c+ret"), Audience: []string{audience}}
	in, err := remote.New(t.Context(), config)
	require.NoError(t, err)
	token := as.MintOpaque(oauthztest.Claims{"scope": "read", "sub": "alice"})
	got, err := in.Introspect(t.Context(), token)
	require.NoError(t, err)
	assert.Equal(t, "alice", got.Subject)
	assert.Equal(t, as.Issuer(), got.Issuer)
	assert.Equal(t, oauthz.Scopes{"read"}, got.Scopes)
	as.Revoke(token)
	_, err = in.Introspect(t.Context(), token)
	require.ErrorIs(t, err, oauthz.ErrInactive)

	config.Auth = remote.Basic("api", "wrong")
	in, err = remote.New(t.Context(), config)
	require.NoError(t, err)
	_, err = in.Introspect(t.Context(), token)
	require.ErrorIs(t, err, oauthz.ErrUnavailable)
	assert.NotErrorIs(t, err, oauthz.ErrInvalidToken)
}

// An issuer that is down at the start is discovered in the background. A panic in the
// caller's transport does not end the process during the discovery.
func TestEndpointIsDiscoveredLater(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		down func() *http.Response
		want string
	}{
		"status 500": {func() *http.Response { return reply(500, "") }, "status 500"},
		"a panic":    {func() *http.Response { panic("transport") }, "panic in the HTTP client: string"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var up atomic.Bool
				in := bubbled(t, func(r *http.Request) (*http.Response, error) {
					switch {
					case !up.Load():
						return tt.down(), nil
					case r.Method == http.MethodGet:
						return reply(200, metadata), nil
					default:
						return reply(200, good), nil
					}
				}, withDiscovery)
				for range 5 {
					_, err := in.Introspect(t.Context(), "opaque")
					require.ErrorIs(t, err, oauthz.ErrUnavailable)
					require.ErrorContains(t, err, "the introspection endpoint of https://issuer.example: not discovered yet: ")
					require.ErrorContains(t, err, tt.want)
					<-time.After(3 * time.Second)
				}
				up.Store(true)
				<-time.After(6 * time.Second)
				_, err := in.Introspect(t.Context(), "opaque")
				assert.NoError(t, err)
			})
		})
	}
}

// A request waits for the discovery no longer than its context. The discovery is
// tried again at least every five seconds, until the context of New ends.
func TestDiscoveryIsTriedAgainUntilTheContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		in, err := remote.New(ctx, remote.Config{
			Issuer: "https://issuer.example", Auth: remote.None(""), Audience: []string{audience},
			HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				calls.Add(1)
				<-time.After(2 * time.Second)
				return reply(404, ""), r.Context().Err()
			})},
		})
		require.NoError(t, err)
		brief, done := context.WithTimeout(t.Context(), time.Second)
		defer done()
		start := time.Now()
		_, err = in.Introspect(brief, "opaque")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))
		<-time.After(time.Minute)
		before := calls.Load()
		<-time.After(90 * time.Second)
		assert.InDelta(t, 27, calls.Load()-before, 9, "two URLs of two seconds each, and a pause of 1.25 to 5 seconds")
		cancel()
		<-time.After(10 * time.Second)
		before = calls.Load()
		<-time.After(time.Minute)
		assert.Equal(t, before, calls.Load())
	})
}

// Many introspectors that discover their endpoints at one server that is away do not
// call it in step: no quarter of a second has more than a tenth of the requests of
// ten seconds.
func TestDiscoveriesOfManyIntrospectorsAreSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var asked []time.Duration
		start := time.Now()
		for i := range 300 {
			_, err := remote.New(t.Context(), remote.Config{
				Issuer: fmt.Sprint("https://issuer.example/", i), Auth: remote.None(""), Audience: []string{audience},
				HTTPClient: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
					mu.Lock()
					defer mu.Unlock()
					asked = append(asked, time.Since(start))
					return nil, io.ErrUnexpectedEOF
				})},
			})
			require.NoError(t, err)
		}
		<-time.After(time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		between := func(from, to time.Duration) int {
			first, _ := slices.BinarySearch(asked, from)
			end, _ := slices.BinarySearch(asked, to)
			return end - first
		}
		worst := 0.0
		for from := time.Second / 4; from < 50*time.Second; from += time.Second / 20 {
			n, all := between(from, from+time.Second/4), between(from, from+10*time.Second)
			worst = max(worst, float64(n)/float64(all))
		}
		t.Logf("the most in a quarter of a second: %.1f %% of ten seconds' requests", 100*worst)
		assert.LessOrEqual(t, worst, 0.1)
	})
}

// Endpoints that were discovered at the same time are discovered again at times that
// are spread over half of the 15 minutes.
func TestRediscoveriesAreSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		counts := map[time.Duration]int{} // by minutes
		start := time.Now()
		for range 300 {
			bubbled(t, func(*http.Request) (*http.Response, error) {
				mu.Lock()
				defer mu.Unlock()
				counts[time.Since(start)/time.Minute]++
				return reply(200, metadata), nil
			}, withDiscovery)
		}
		<-time.After(15*time.Minute - 1)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		assert.Equal(t, 300, counts[0])
		for minute := time.Duration(8); minute < 15; minute++ {
			assert.InDelta(t, 40, counts[minute], 30, "minute %d", minute)
		}
	})
}

// An endpoint that moves is discovered at its new URL, and Timeout bounds the wait for
// the discovery too.
func TestEndpointThatMovesIsDiscoveredAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var location atomic.Value
		location.Store("https://issuer.example/old")
		in := bubbled(t, func(r *http.Request) (*http.Response, error) {
			switch r.URL.String() {
			case "https://issuer.example/.well-known/oauth-authorization-server":
				if location.Load() == "" {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				return reply(200, `{"issuer":"https://issuer.example","introspection_endpoint":"`+location.Load().(string)+`"}`), nil
			case location.Load():
				return reply(200, good), nil
			default:
				return reply(404, ""), nil
			}
		}, withDiscovery, func(c *remote.Config) { c.Timeout = 500 * time.Millisecond })
		_, err := in.Introspect(t.Context(), "opaque")
		require.NoError(t, err)
		location.Store("https://issuer.example/new")
		<-time.After(16 * time.Minute)
		_, err = in.Introspect(t.Context(), "opaque")
		assert.NoError(t, err)
	})
}
