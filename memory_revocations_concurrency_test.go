package oauthz_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// Revoke is safe during calls of Revoked, and an entry is never lost.
func TestRevocationsConcurrently(t *testing.T) {
	t.Parallel()
	var list oauthz.MemoryRevocations
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 {
				claim := fmt.Sprintf("claim-%d", j%5)
				rev := oauthz.Revocation{Match: match{"iss": "i", claim: i*1000 + j}, Expires: time.Now().Add(time.Hour)}
				assert.NoError(t, list.Revoke(context.Background(), rev))
				token, err := oauthz.ParseToken(fmt.Appendf(nil, `{"iss":"i",%q:%d}`, claim, i*1000+j))
				assert.NoError(t, err)
				revoked, err := list.Revoked(context.Background(), token)
				assert.NoError(t, err)
				assert.True(t, revoked)
			}
		})
	}
	wg.Wait()
}

// A reader finds every acknowledged entry while the index grows, is cleaned and is copied.
func TestRevocationsAreFoundWhileTheListGrows(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	list := &oauthz.MemoryRevocations{Now: func() time.Time { return epoch.Add(time.Duration(clock.Load())) }}
	const n = 2_000
	var acknowledged atomic.Int64
	var wg sync.WaitGroup
	for reader := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(reader), 1))
			for done := int64(0); done < n; done = acknowledged.Load() {
				i := 0
				if done > 0 {
					i = random.IntN(int(done))
				}
				revoked, err := list.Revoked(t.Context(), parse(t, fmt.Sprintf(`{"iss":"i","jti":"%d"}`, i)))
				if assert.NoError(t, err); done > 0 && !assert.True(t, revoked, "%d of %d", i, done) {
					return
				}
			}
		})
	}
	for i := range n {
		require.NoError(t, list.Revoke(t.Context(),
			oauthz.Revocation{Match: match{"iss": "i", "jti": fmt.Sprint(i)}},
			oauthz.Revocation{Match: match{"iss": "i", "sub": fmt.Sprint(i)}, Expires: list.Now().Add(-oauthz.MaxLeeway + time.Second)},
		))
		acknowledged.Store(int64(i + 1))
		clock.Add(int64(time.Second))
	}
	wg.Wait()
}

// A reader finds every acknowledged entry while the entries of one Match are combined, covered and replaced.
func TestRevocationsOfOneMatchAreFoundWhileTheyChange(t *testing.T) {
	t.Parallel()
	list := revocations(t)
	const n = 4_000
	var acknowledged atomic.Int64 // milliseconds after epoch: tokens issued up to then are revoked
	acknowledged.Store(-1)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for done := acknowledged.Load(); done < n-1; done = acknowledged.Load() {
				token := &oauthz.Token{Issuer: "i", Subject: "s", IssuedAt: epoch.Add(time.Duration(done) * time.Millisecond)}
				revoked, err := list.Revoked(t.Context(), token)
				if assert.NoError(t, err); done >= 0 && !assert.True(t, revoked, done) {
					return
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(1, 1))
	for i := range n {
		rev := oauthz.Revocation{
			Match: match{"iss": "i", "sub": "s"}, IssuedUntil: epoch.Add(time.Duration(i) * time.Millisecond),
			Expires: epoch.Add(time.Hour - time.Duration(i)*time.Millisecond),
		}
		if random.IntN(200) == 0 { // it covers all entries before it
			rev.Expires = epoch.Add(time.Hour)
		}
		require.NoError(t, list.Revoke(t.Context(), rev))
		acknowledged.Store(int64(i))
	}
	wg.Wait()
}

// A batch has room in a list of few entries, of many, and of many that have expired.
func TestRevocationsInBatches(t *testing.T) {
	t.Parallel()
	now := epoch
	list := &oauthz.MemoryRevocations{Now: func() time.Time { return now }}
	total := 0
	for _, n := range []int{1, 15, 100, 30, 3000, 1, 5000} {
		if n == 5000 { // all entries have expired
			now = now.Add(2 * time.Hour)
		}
		require.NoError(t, list.Revoke(t.Context(), batch(total, n, now.Add(time.Hour))...))
		for i := range n {
			revoked, err := list.Revoked(t.Context(), &oauthz.Token{Issuer: "i", ID: fmt.Sprint(total + i)})
			require.NoError(t, err)
			require.True(t, revoked, "%d of %d", i, n)
			revoked, err = list.Revoked(t.Context(), &oauthz.Token{Issuer: "i", ID: fmt.Sprint("other-", i)})
			require.NoError(t, err)
			require.False(t, revoked)
		}
		total += n
	}
	assert.Len(t, held(t, list, oauthz.Query{}), 5000)
}
