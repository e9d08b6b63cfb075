package revindex_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/revindex"
)

// maxLimited is how many entries of one key may have an IssuedUntil.
const maxLimited = 64

// model is an index that compares all of its entries.
type model struct {
	entries []revindex.Entry // with the rule for more than maxLimited of one key
	all     []revindex.Entry // without it

	combined int // how often the rule applied
}

func (m *model) add(e revindex.Entry) {
	m.all = append(m.all, e)
	same := func(other revindex.Entry) bool { return fmt.Sprint(other.Key) == fmt.Sprint(e.Key) }
	if slices.ContainsFunc(m.entries, func(other revindex.Entry) bool { return same(other) && covers(other, e) }) {
		return
	}
	var limited []revindex.Entry
	for _, other := range m.entries {
		if same(other) && !covers(e, other) && !other.IssuedUntil.IsZero() {
			limited = append(limited, other)
		}
	}
	if !e.IssuedUntil.IsZero() && len(limited) >= maxLimited {
		closest := slices.MinFunc(limited, func(a, b revindex.Entry) int {
			return cmp.Or(cmp.Compare(e.IssuedUntil.Sub(a.IssuedUntil).Abs(), e.IssuedUntil.Sub(b.IssuedUntil).Abs()), a.IssuedUntil.Compare(b.IssuedUntil))
		})
		m.combined++
		e.IssuedUntil, e.Expires = latest(e.IssuedUntil, closest.IssuedUntil), latest(e.Expires, closest.Expires)
	}
	m.entries = append(slices.DeleteFunc(m.entries, func(other revindex.Entry) bool { return same(other) && covers(e, other) }), e)
}

// never sorts after every other time.
var never = time.Unix(1<<40, 0)

// orNever returns never for the zero time.
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

func covers(e, other revindex.Entry) bool {
	return !orNever(e.IssuedUntil).Before(orNever(other.IssuedUntil)) && !orNever(e.Expires).Before(orNever(other.Expires))
}

// revokes reports whether one of entries revokes t.
func revokes(entries []revindex.Entry, t *revindex.Token, now time.Time) bool {
	return slices.ContainsFunc(entries, func(e revindex.Entry) bool { return entryRevokes(e, t, now) })
}

func entryRevokes(e revindex.Entry, t *revindex.Token, now time.Time) bool {
	if e.Issuer != t.Issuer {
		return false
	}
	for i, name := range e.Names {
		if !slices.Contains(t.Claims.(claims)[name], e.Values[i]) {
			return false
		}
	}
	issued := t.IssuedAt
	if issued.After(now.Add(leeway)) { // counts as missing
		issued = time.Time{}
	}
	return now.Before(orNever(e.Expires).Add(leeway)) && !issued.After(orNever(e.IssuedUntil))
}

// The index returns the same result as the model, through growth, expiry, replacement and copies without expired entries.
func TestIndexAgainstAModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 0))
				list, m := newList(), model{}
				for range 400 {
					<-time.After(time.Duration(random.IntN(10)) * time.Second)
					now := time.Now()
					e := randomEntry(random, now)
					m.add(e)
					list.add(t, now.Add(-time.Duration(random.IntN(600))*time.Second), e)
					for range 3 {
						token := randomToken(random, now)
						require.Equal(t, revokes(m.all, token, now), list.Revokes(token, time.Now))
					}
				}
			})
		})
	}
}

func randomEntry(random *rand.Rand, now time.Time) revindex.Entry {
	var pairs []string
	for _, name := range []string{"jti", "sub", "x"} {
		if random.IntN(2) == 0 {
			pairs = append(pairs, name, fmt.Sprint("v", random.IntN(40)))
		}
	}
	if pairs == nil {
		pairs = []string{"n", fmt.Sprint(random.IntN(200))}
	}
	e := revindex.Entry{Key: key(fmt.Sprint("issuer-", random.IntN(3)), pairs...)}
	if random.IntN(2) == 0 {
		e.IssuedUntil = now.Add(time.Duration(random.IntN(20)-10) * time.Second)
	}
	e.Expires = now.Add(time.Duration(random.IntN(900)-400) * time.Second)
	return e
}

func randomToken(random *rand.Rand, now time.Time) *revindex.Token {
	value := func(prefix string, n int) []revindex.Value {
		return []revindex.Value{revindex.String(fmt.Sprint(prefix, random.IntN(n)))}
	}
	return &revindex.Token{
		Issuer:   fmt.Sprint("issuer-", random.IntN(3)),
		IssuedAt: now.Add(time.Duration(random.IntN(20)-10) * time.Second),
		Claims:   claims{"jti": value("v", 40), "sub": value("v", 40), "x": value("v", 40), "n": value("", 200)},
	}
}

// Beyond 64 entries of one key that differ in both times the index combines them as documented, and still revokes each token that
// one of them revokes.
func TestManyEntriesOfOneKeyAgainstAModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			now := epoch
			list, m := newList(), model{}
			for range 800 {
				now = now.Add(time.Duration(random.IntN(10)) * time.Second)
				e := frontEntry(random)
				m.add(e)
				list.add(t, time.Time{}, e)
				for range 3 {
					token := &revindex.Token{
						Issuer: "i", IssuedAt: epoch.Add(time.Duration(random.IntN(2_000)-1_000) * time.Second),
						Claims: claims{"sub": {revindex.String(fmt.Sprint(random.IntN(2)))}},
					}
					got := list.Revokes(token, at(now))
					require.Equal(t, revokes(m.entries, token, now), got)
					require.True(t, got || !revokes(m.all, token, now))
				}
			}
			assert.Positive(t, m.combined)
			held := slices.Collect(list.Select(&revindex.Filter{}, now))
			assert.LessOrEqual(t, len(held), 2*(maxLimited+1))
		})
	}
}

// frontEntry returns an entry of one of two keys, which most others of its key do not cover: the later its IssuedUntil, the earlier
// its Expires.
func frontEntry(random *rand.Rand) revindex.Entry {
	e := revindex.Entry{Key: key("i", "sub", fmt.Sprint(random.IntN(2)))}
	until := time.Duration(random.IntN(2_000)-1_000) * time.Second
	if random.IntN(500) > 0 {
		e.IssuedUntil = epoch.Add(until)
	}
	if random.IntN(40) == 0 { // it covers some of the others
		until -= 150 * time.Second
	}
	if random.IntN(500) > 0 {
		e.Expires = epoch.Add(2_000*time.Second - until + time.Duration(random.IntN(4))*time.Second)
	}
	return e
}

// A claim that is an array matches by each element, if the index has few entries and reads all, and if it has many and looks up each
// combination.
func TestArraysAgainstAModel(t *testing.T) {
	t.Parallel()
	for _, entries := range []int{1, 50, 5_000} {
		t.Run(fmt.Sprint(entries), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(uint64(entries), 2))
			value := func() string { return strconv.Itoa(random.IntN(4 + entries/4)) }
			list, m := newList(), model{}
			for i := range entries {
				pairs := []string{"a", value(), "b", value()}
				if i%3 == 0 {
					pairs = append(pairs, "c", value())
				}
				e := revindex.Entry{Key: key(strconv.Itoa(i%2), pairs...)}
				m.all = append(m.all, e)
				list.add(t, time.Time{}, e)
			}
			found := 0
			for range 200 {
				token := &revindex.Token{Issuer: strconv.Itoa(random.IntN(2)), Claims: claims{}}
				for _, name := range []string{"a", "b", "c"} {
					for range random.IntN(20) {
						token.Claims.(claims)[name] = append(token.Claims.(claims)[name], revindex.String(value()))
					}
				}
				got := list.Revokes(token, at(epoch))
				require.Equal(t, revokes(m.all, token, epoch), got)
				if got {
					found++
				}
			}
			assert.Positive(t, found)
			assert.Less(t, found, 200)
		})
	}
}
