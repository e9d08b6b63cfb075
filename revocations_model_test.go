package oauthz_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// maxLimited is how many entries of one Match may have an IssuedUntil: see the documentation of Revocations.
const maxLimited = 64

// model is a list that goes through all of its entries.
type model struct {
	entries []oauthz.Revocation // with the rule for many of one Match
	all     []oauthz.Revocation // without it

	combined int // how often the rule was needed
}

func (m *model) revoke(rev oauthz.Revocation) {
	m.all = append(m.all, rev)
	same := func(r oauthz.Revocation) bool { return fmt.Sprint(r.Match) == fmt.Sprint(rev.Match) }
	if slices.ContainsFunc(m.entries, func(r oauthz.Revocation) bool { return same(r) && covers(r, rev) }) {
		return
	}
	var limited []oauthz.Revocation
	for _, r := range m.entries {
		if same(r) && !covers(rev, r) && !r.IssuedUntil.IsZero() {
			limited = append(limited, r)
		}
	}
	if !rev.IssuedUntil.IsZero() && len(limited) >= maxLimited {
		closest := slices.MinFunc(limited, func(a, b oauthz.Revocation) int {
			return cmp.Or(cmp.Compare(rev.IssuedUntil.Sub(a.IssuedUntil).Abs(), rev.IssuedUntil.Sub(b.IssuedUntil).Abs()), a.IssuedUntil.Compare(b.IssuedUntil))
		})
		m.combined++
		rev.IssuedUntil, rev.Expires = latest(rev.IssuedUntil, closest.IssuedUntil), latest(rev.Expires, closest.Expires)
	}
	m.entries = append(slices.DeleteFunc(m.entries, func(r oauthz.Revocation) bool { return same(r) && covers(rev, r) }), rev)
}

// never sorts after every other time.
var never = time.Unix(1<<40, 0)

// orNever is a time of which zero is never.
func orNever(at time.Time) time.Time {
	if at.IsZero() {
		return never
	}
	return at
}

// latest returns the later of two times, of which zero is never.
func latest(a, b time.Time) time.Time {
	if orNever(a).After(orNever(b)) {
		return a
	}
	return b
}

func covers(r, other oauthz.Revocation) bool {
	return !orNever(r.IssuedUntil).Before(orNever(other.IssuedUntil)) && !orNever(r.Expires).Before(orNever(other.Expires))
}

// revokes reports whether one of entries revokes t.
func revokes(entries []oauthz.Revocation, t *oauthz.Token, now time.Time) bool {
	return slices.ContainsFunc(entries, func(r oauthz.Revocation) bool { return modelRevokes(r, t, now) })
}

func modelRevokes(r oauthz.Revocation, t *oauthz.Token, now time.Time) bool {
	for name, want := range r.Match {
		got, _ := t.Claim(name)
		if text := fmt.Sprint(want); string(got) != text && string(got) != `"`+text+`"` {
			return false
		}
	}
	issued := t.IssuedAt
	if issued.After(now.Add(oauthz.MaxLeeway)) { // counts as missing
		issued = time.Time{}
	}
	return now.Before(orNever(r.Expires).Add(oauthz.MaxLeeway)) && !issued.After(orNever(r.IssuedUntil))
}

// The list answers of every token as a model does, through growth, expiry, replacement and copies without expired entries.
func TestRevocationsAgainstAModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 0))
				var list oauthz.Revocations
				var m model
				for range 400 {
					<-time.After(time.Duration(random.IntN(10)) * time.Second)
					now := time.Now()
					rev := randomRevocation(random, now)
					m.revoke(rev)
					require.NoError(t, list.Revoke(t.Context(), rev))
					for range 3 {
						token := randomToken(t, random, now)
						got, err := list.Revoked(t.Context(), token)
						require.NoError(t, err)
						require.Equal(t, revokes(m.all, token, now), got)
					}
				}
			})
		})
	}
}

func randomRevocation(random *rand.Rand, now time.Time) oauthz.Revocation {
	rev := oauthz.Revocation{Match: match{"iss": fmt.Sprint("issuer-", random.IntN(3))}}
	for _, name := range []string{"jti", "sub", "x"} {
		if random.IntN(2) == 0 {
			rev.Match[name] = fmt.Sprint("v", random.IntN(40))
		}
	}
	if len(rev.Match) == 1 {
		rev.Match["n"] = random.IntN(200)
	}
	if random.IntN(2) == 0 {
		rev.IssuedUntil = now.Add(time.Duration(random.IntN(20)-10) * time.Second)
	}
	rev.Expires = now.Add(time.Duration(random.IntN(900)-400) * time.Second)
	return rev
}

func randomToken(t *testing.T, random *rand.Rand, now time.Time) *oauthz.Token {
	return parse(t, fmt.Sprintf(`{"iss":"issuer-%d","jti":"v%d","sub":"v%d","x":"v%d","n":%d,"iat":%d}`,
		random.IntN(3), random.IntN(40), random.IntN(40), random.IntN(40), random.IntN(200), now.Unix()+int64(random.IntN(20)-10)))
}

// Beyond 64 entries of one Match that differ in both times the list combines them as documented, and still refuses each token that one of them refuses.
func TestManyRevocationsOfOneMatchAgainstAModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			now := epoch
			list := &oauthz.Revocations{Now: func() time.Time { return now }}
			var m model
			for range 800 {
				now = now.Add(time.Duration(random.IntN(10)) * time.Second)
				rev := frontRevocation(random)
				m.revoke(rev)
				require.NoError(t, list.Revoke(t.Context(), rev))
				for range 3 {
					token := parse(t, fmt.Sprintf(`{"iss":"i","sub":"%d","iat":%d}`, random.IntN(2), epoch.Unix()+int64(random.IntN(2_000)-1_000)))
					got, err := list.Revoked(t.Context(), token)
					require.NoError(t, err)
					require.Equal(t, revokes(m.entries, token, now), got)
					require.True(t, got || !revokes(m.all, token, now))
				}
			}
			assert.Positive(t, m.combined)
			assert.LessOrEqual(t, len(held(t, list, oauthz.Query{})), 2*(maxLimited+1))
		})
	}
}

// frontRevocation is one of two keys, which most others of its key do not cover: the later it is issued, the sooner it expires.
func frontRevocation(random *rand.Rand) oauthz.Revocation {
	rev := oauthz.Revocation{Match: match{"iss": "i", "sub": fmt.Sprint(random.IntN(2))}}
	until := time.Duration(random.IntN(2_000)-1_000) * time.Second
	if random.IntN(500) > 0 {
		rev.IssuedUntil = epoch.Add(until)
	}
	if random.IntN(40) == 0 { // one that covers a part of the others
		until -= 150 * time.Second
	}
	if random.IntN(500) > 0 {
		rev.Expires = epoch.Add(2_000*time.Second - until + time.Duration(random.IntN(4))*time.Second)
	}
	return rev
}

// A claim that is an array matches by each element, whichever way the list looks: with few entries it goes through them, with many it looks up each combination.
func TestRevokedOfArraysAgainstAModel(t *testing.T) {
	t.Parallel()
	for _, entries := range []int{1, 50, 5_000} {
		t.Run(fmt.Sprint(entries), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(entries), 2))
			value := func() string { return strconv.Itoa(random.IntN(4 + entries/4)) }
			type key struct{ issuer, a, b, c string }
			list, held := revocations(t), map[key]bool{}
			for i := range entries {
				k := key{strconv.Itoa(i % 2), value(), value(), ""}
				m := match{"iss": k.issuer, "a": k.a, "b": k.b}
				if i%3 == 0 {
					k.c = value()
					m["c"] = k.c
				}
				held[k] = true
				require.NoError(t, list.Revoke(t.Context(), by(m)...))
			}
			found := 0
			for range 200 {
				claims := map[string][]string{"a": nil, "b": nil, "c": nil}
				for name := range claims {
					for range random.IntN(20) {
						claims[name] = append(claims[name], value())
					}
				}
				issuer, want := strconv.Itoa(random.IntN(2)), false
				for _, a := range claims["a"] {
					for _, b := range claims["b"] {
						for _, c := range append(claims["c"], "") {
							want = want || held[key{issuer, a, b, c}]
						}
					}
				}
				doc, err := json.Marshal(map[string]any{"iss": issuer, "a": claims["a"], "b": claims["b"], "c": claims["c"]})
				require.NoError(t, err)
				got, err := list.Revoked(t.Context(), parse(t, string(doc)))
				require.NoError(t, err)
				require.Equal(t, want, got)
				if got {
					found++
				}
			}
			assert.Positive(t, found)
			assert.Less(t, found, 200)
		})
	}
}
