package oauthz_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
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
)

// RV-14: an expired entry is discarded, and no other is. Not parallel: it measures the heap.
func TestExpiredRevocationsAreLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := new(oauthz.Revocations)
		require.NoError(t, list.Revoke(t.Context(), by(match{"iss": "stays", "sub": "s"})...))
		before := heap()
		const n = 30_000
		expires := time.Now().Add(time.Hour)
		for i := range n {
			rev := oauthz.Revocation{Match: match{"iss": "i", "jti": fmt.Sprint("token-", i)}, Expires: expires}
			require.NoError(t, list.Revoke(t.Context(), rev))
		}
		<-time.After(2 * time.Hour)
		require.NoError(t, list.Revoke(t.Context(), by(match{"iss": "i", "jti": "another"})...))
		assert.Greater(t, heap()-before, int64(n*40), "on the word of one reading nothing is discarded")
		<-time.After(oauthz.MaxLeeway)
		require.NoError(t, list.Revoke(t.Context(), by(match{"iss": "i", "jti": "another"})...))
		assert.Less(t, heap()-before, int64(n))
		for claims, want := range map[string]bool{
			`{"iss":"stays","sub":"s"}`: true, `{"iss":"i","jti":"another"}`: true, `{"iss":"i","jti":"token-7"}`: false,
		} {
			revoked, err := list.Revoked(t.Context(), parse(t, claims))
			require.NoError(t, err)
			assert.Equal(t, want, revoked, claims)
		}
	})
}

// One user who logs out again and again is one entry. Not parallel: it measures the heap.
func TestRepeatedRevocationsAreOne(t *testing.T) {
	list := revocations(t)
	before := heap()
	for i := range 20_000 {
		require.NoError(t, list.Revoke(t.Context(), until(i)...))
	}
	assert.Less(t, heap()-before, int64(1<<18))
	all, err := list.All(oauthz.Query{})
	require.NoError(t, err)
	got := slices.Collect(all)
	require.Len(t, got, 1)
	assert.True(t, epoch.Add(19_999*time.Second).Equal(got[0].IssuedUntil))
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Whoever asks while entries are added finds all that was acknowledged, while the index grows, is swept, and is copied.
func TestRevocationsAreFoundWhileTheListGrows(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	list := &oauthz.Revocations{Now: func() time.Time { return epoch.Add(time.Duration(clock.Load())) }}
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

func TestRevocationsAll(t *testing.T) {
	t.Parallel()
	at := func(hours int) time.Time { return epoch.Add(time.Duration(hours) * time.Hour) }
	held := []oauthz.Revocation{
		{Match: match{"iss": "i", "jti": "1", "sub": "alice"}, Expires: at(1), At: at(-3), Reason: "lost"},
		{Match: match{"iss": "i", "sub": "alice"}, IssuedUntil: at(-2), Expires: at(2), At: at(-2)},
		{Match: match{"iss": "j", "org": "acme", "n": 7, "b": true}, At: at(-1)},
		{Match: match{"iss": "j", "jti": "over"}, Expires: at(-1), At: at(-9)},
	}
	list := revocations(t, held...)
	for _, tt := range []struct {
		name  string
		query oauthz.Query
		want  []int
	}{
		{name: "all", want: []int{0, 1, 2}},
		{name: "a limit", query: oauthz.Query{Limit: 2}, want: []int{0, 1}},
		{name: "by subject", query: oauthz.Query{Match: match{"sub": "alice"}}, want: []int{0, 1}},
		{name: "by another subject", query: oauthz.Query{Match: match{"sub": "bob"}}},
		{name: "by subject, a limit", query: oauthz.Query{Match: match{"sub": "alice"}, Limit: 1}, want: []int{0}},
		{name: "by subject and jti", query: oauthz.Query{Match: match{"sub": "alice", "jti": "1"}}, want: []int{0}},
		{name: "by issuer", query: oauthz.Query{Match: match{"iss": "j"}}, want: []int{2}},
		{name: "by organisation and issuer", query: oauthz.Query{Match: match{"iss": "j", "org": "acme"}}, want: []int{2}},
		{name: "of another issuer", query: oauthz.Query{Match: match{"iss": "i", "org": "acme"}}},
		{name: "by number", query: oauthz.Query{Match: match{"n": 7.0}}, want: []int{2}},
		{name: "by number, another type", query: oauthz.Query{Match: match{"n": "7"}}},
		{name: "by bool", query: oauthz.Query{Match: match{"b": true}}, want: []int{2}},
		{name: "by a claim that none names", query: oauthz.Query{Match: match{"sid": "s"}}},
		{name: "expires from", query: oauthz.Query{ExpiresFrom: at(2)}, want: []int{1, 2}},
		{name: "expires to", query: oauthz.Query{ExpiresTo: at(2)}, want: []int{0}},
		{name: "issued from", query: oauthz.Query{IssuedFrom: at(-1)}, want: []int{0, 2}},
		{name: "issued to", query: oauthz.Query{IssuedFrom: at(-2), IssuedTo: at(-1)}, want: []int{1}},
		{name: "revoked from", query: oauthz.Query{RevokedFrom: at(-2)}, want: []int{1, 2}},
		{name: "revoked to", query: oauthz.Query{RevokedTo: at(-2)}, want: []int{0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			all, err := list.All(tt.query)
			require.NoError(t, err)
			for range 2 { // an iterator can be used again
				var got []string
				for rev := range all {
					got = append(got, asJSON(t, rev))
				}
				var want []string
				for _, i := range tt.want {
					want = append(want, asJSON(t, held[i]))
				}
				assert.Equal(t, want, got)
			}
		})
	}
	empty, err := new(oauthz.Revocations).All(oauthz.Query{})
	require.NoError(t, err)
	assert.Empty(t, slices.Collect(empty))
	_, err = list.All(oauthz.Query{Match: match{"x": nil}, Limit: -1})
	assert.EqualError(t, err, "oauthz: query: match \"x\": a <nil> cannot be compared; want a string, a number or a bool\noauthz: query: Limit is negative")
}

// A revocation that is too long, or not UTF-8, is a mistake: no token could match it, and other instances could not read it.
func TestRevocationsThatCannotBeHeld(t *testing.T) {
	t.Parallel()
	long, bad := strings.Repeat("x", 1<<16), "\xff"
	for _, tt := range []struct {
		rev  oauthz.Revocation
		want string
	}{
		{oauthz.Revocation{Match: match{"iss": "i", "jti": long}}, "longer than 65535 bytes"},
		{oauthz.Revocation{Match: match{"iss": long}}, "longer than 65535 bytes"},
		{oauthz.Revocation{Match: match{"iss": "i", long: 1}}, "longer than 65535 bytes"},
		{oauthz.Revocation{Match: match{"iss": "i"}, Reason: long}, "longer than 65535 bytes"},
		{oauthz.Revocation{Match: match{"iss": "i", "jti": bad}}, `match "jti": not UTF-8`},
		{oauthz.Revocation{Match: match{"iss": bad}}, "not UTF-8"},
		{oauthz.Revocation{Match: match{"iss": "i", bad: 1}}, "not UTF-8"},
		{oauthz.Revocation{Match: match{"iss": "i"}, Reason: bad}, "reason: not UTF-8"},
	} {
		assert.EqualError(t, new(oauthz.Revocations).Revoke(t.Context(), tt.rev), "oauthz: revocation 0: "+tt.want)
		_, err := tt.rev.MarshalJSON()
		assert.EqualError(t, err, "oauthz: revocation: "+tt.want)
		assert.EqualError(t, tt.rev.Check(), "oauthz: revocation: "+tt.want)
	}
	// The longest that is taken is found, also behind others that fill the chunks of memory unevenly.
	var list oauthz.Revocations
	for i := range 40 {
		value := strings.Repeat(string(rune('a'+i%26)), 40_000+600*i)
		require.NoError(t, list.Revoke(t.Context(), by(match{"iss": "i", "jti": value}, match{"iss": "i", "sub": fmt.Sprint(i)})...))
	}
	for i := range 40 {
		value := strings.Repeat(string(rune('a'+i%26)), 40_000+600*i)
		for _, claims := range []string{`{"iss":"i","jti":"` + value + `"}`, fmt.Sprintf(`{"iss":"i","sub":"%d"}`, i)} {
			revoked, err := list.Revoked(t.Context(), parse(t, claims))
			require.NoError(t, err)
			assert.True(t, revoked, i)
		}
	}
}

// Whoever asks while the entries of one Match become one, are covered, and give their places to others finds all that was acknowledged.
func TestRevocationsOfOneMatchAreFoundWhileTheyChange(t *testing.T) {
	t.Parallel()
	list := revocations(t)
	const n = 4_000
	var acknowledged atomic.Int64 // tokens issued up to then are revoked
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
		if random.IntN(200) == 0 { // and covers those that are issued up to then, with which it begins anew
			rev.Expires = epoch.Add(time.Hour)
		}
		require.NoError(t, list.Revoke(t.Context(), rev))
		acknowledged.Store(int64(i))
	}
	wg.Wait()
}
