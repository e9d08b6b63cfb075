package revindex_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/oauthz/oauthz/internal/revindex"
)

// million is the number of entries in the indexes that are measured.
const million = 1_000_000

var names = []string{"jti", "sub", "sid"}

func value(i int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i*7919) }

// fill returns an index of n entries of three shapes, with values of 36 bytes, that were added one by one.
func fill(b *testing.B, n int) *list {
	b.Helper()
	list := newList()
	for i := range n {
		e := revindex.Entry{Key: key("https://login.example.com", names[i%3], value(i)), Term: revindex.Term{Expires: epoch.Add(time.Hour), At: epoch}}
		list.add(b, time.Time{}, e)
	}
	return list
}

// fields are claims of one value each, like those of a token that was parsed.
type fields struct{ id, subject, session string }

func (f *fields) Values(name string) (revindex.Value, []revindex.Value, bool) {
	text := ""
	switch name {
	case "jti":
		text = f.id
	case "sub":
		text = f.subject
	case "sid":
		text = f.session
	}
	return revindex.String(text), nil, text != ""
}

// BenchmarkRevokes looks up tokens that are not revoked, like those of nearly every request.
func BenchmarkRevokes(b *testing.B) {
	const tokens = 1 << 16
	before := heap()
	list := fill(b, million)
	held := float64(heap()-before) / million
	values := make([]string, 3*tokens)
	for i := range values {
		values[i] = value(million + i)
	}
	var claims fields
	token := &revindex.Token{Issuer: "https://login.example.com", IssuedAt: epoch, Claims: &claims}
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		first := i & (tokens - 1) * 3
		claims = fields{values[first], values[first+1], values[first+2]}
		if list.Revokes(token, time.Now) {
			b.Fatal("revoked")
		}
	}
	b.ReportMetric(held, "B/entry")
}

// BenchmarkFill10M is run with -benchtime 1x.
func BenchmarkFill10M(b *testing.B) {
	const n = 10 * million
	for b.Loop() {
		before, start := heap(), time.Now()
		list := fill(b, n)
		b.ReportMetric(n/time.Since(start).Seconds(), "entries/s")
		b.ReportMetric(float64(heap()-before)/n, "B/entry")
		token := &revindex.Token{Issuer: "https://login.example.com", Claims: &fields{id: "none"}}
		if list.Revokes(token, time.Now) {
			b.Fatal("revoked")
		}
	}
}

// BenchmarkAddOfOneKey adds 20,000 entries of one key, none of which covers another.
func BenchmarkAddOfOneKey(b *testing.B) {
	for b.Loop() {
		list := newList()
		for i := range 20_000 {
			list.add(b, time.Time{}, revindex.Entry{Key: key("i", "sub", "s"), Term: revindex.Term{
				IssuedUntil: epoch.Add(time.Duration(i) * time.Second),
				Expires:     epoch.Add(240*time.Hour - time.Duration(i)*time.Second),
			}})
		}
	}
}

// BenchmarkRevokesOfTwoArrays looks up a token whose two arrays have up to two million pairs of values, in an index of a million
// pairs.
func BenchmarkRevokesOfTwoArrays(b *testing.B) {
	list := newList()
	for i := range million {
		list.add(b, time.Time{}, revindex.Entry{Key: key("i", "a", fmt.Sprint("a", i), "b", "c")})
	}
	for _, n := range []int{30, 100, 350, 1_400} {
		arrays := claims{}
		for i := range n {
			arrays["a"] = append(arrays["a"], revindex.String(fmt.Sprint("x", i)))
			arrays["b"] = append(arrays["b"], revindex.String(fmt.Sprint("y", i)))
		}
		token := &revindex.Token{Issuer: "i", Claims: arrays}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if list.Revokes(token, time.Now) {
					b.Fatal("revoked")
				}
			}
		})
	}
}
