package remote_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/remote"
)

// Many introspectors that look for their endpoints at one server that is away do
// not ask for it in step: no quarter of a second has more than a tenth of the
// requests of ten seconds.
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

// What was discovered together is looked for again over half of the 15 minutes.
func TestDiscoveriesAgainAreSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		counts := map[time.Duration]int{} // by minutes
		start := time.Now()
		for range 300 {
			_, err := remote.New(t.Context(), remote.Config{
				Issuer: "https://issuer.example", Auth: remote.None(""), Audience: []string{audience},
				HTTPClient: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
					mu.Lock()
					defer mu.Unlock()
					counts[time.Since(start)/time.Minute]++
					return reply(200, `{"issuer":"https://issuer.example","introspection_endpoint":"https://issuer.example/i"}`), nil
				})},
			})
			require.NoError(t, err)
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
