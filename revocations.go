package oauthz

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// Revocations is a list in memory, which is a [RevocationList] and a [Revoker].
// The zero value is ready; it is safe for concurrent use and starts no
// goroutine. Entries go [MaxLeeway] after they expire.
type Revocations struct {
	// Now is the clock; default time.Now. Set it before the first use.
	Now func() time.Time

	mu     sync.RWMutex
	shapes map[string]*shape // by the sorted names, joined
	sweep  time.Time         // when to look for expired entries next
}

// shape holds the revocations that match by the same claims.
type shape struct {
	names   []string // sorted
	matches map[string]*match
}

// match is what is held for one list of values, in the order of the names.
type match struct {
	values  []string
	entries []entry
}

type entry struct {
	issuedUntil time.Time // zero: whenever issued
	ends        time.Time // zero: never
}

// Revoke adds revs. If one of them cannot be taken, none is.
func (r *Revocations) Revoke(_ context.Context, revs ...Revocation) error {
	type addition struct {
		names, values []string
		entry         entry
	}
	additions := make([]addition, len(revs))
	for i, rev := range revs {
		names, values, err := rev.match()
		if err != nil {
			return fmt.Errorf("oauthz: revocation %d: %w", i, err)
		}
		e := entry{issuedUntil: rev.IssuedUntil}
		if !rev.Expires.IsZero() {
			e.ends = rev.Expires.Add(MaxLeeway)
		}
		additions[i] = addition{names, values, e}
	}
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropExpired(now)
	for _, a := range additions {
		r.add(a.names, a.values, a.entry)
	}
	return nil
}

func (r *Revocations) add(names, values []string, e entry) {
	id := joined(names)
	s := r.shapes[id]
	if s == nil {
		s = &shape{names: names, matches: map[string]*match{}}
		if r.shapes == nil {
			r.shapes = map[string]*shape{}
		}
		r.shapes[id] = s
	}
	key := joined(values)
	m := s.matches[key]
	if m == nil {
		m = &match{values: values}
		s.matches[key] = m
	}
	if slices.ContainsFunc(m.entries, func(old entry) bool { return old.covers(e) }) {
		return
	}
	// A user who logs out every day leaves one entry, not one a day.
	m.entries = append(slices.DeleteFunc(m.entries, e.covers), e)
}

// covers says whether e revokes all that other does, for as long.
func (e entry) covers(other entry) bool {
	later := func(a, b time.Time) bool { return a.IsZero() || !b.IsZero() && !a.Before(b) }
	return later(e.issuedUntil, other.issuedUntil) && later(e.ends, other.ends)
}

// dropExpired looks through all entries, at most once a minute.
func (r *Revocations) dropExpired(now time.Time) {
	if now.Before(r.sweep) {
		return
	}
	r.sweep = now.Add(time.Minute)
	for id, s := range r.shapes {
		for key, m := range s.matches {
			m.entries = slices.DeleteFunc(m.entries, func(e entry) bool { return e.over(now) })
			if len(m.entries) == 0 {
				delete(s.matches, key)
			}
		}
		if len(s.matches) == 0 {
			delete(r.shapes, id)
		}
	}
}

// Revoked says whether an entry matches t. It never fails.
func (r *Revocations) Revoked(_ context.Context, t *Token) (bool, error) {
	now := r.now()
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, s := range r.shapes {
		if s.revokes(t, now) {
			return true, nil
		}
	}
	return false, nil
}

func (r *Revocations) now() time.Time {
	if r.Now != nil {
		return r.Now()
	}
	return time.Now()
}

func (e entry) over(now time.Time) bool { return !e.ends.IsZero() && !now.Before(e.ends) }

func (m *match) revokes(t *Token, now time.Time) bool {
	return slices.ContainsFunc(m.entries, func(e entry) bool {
		return !e.over(now) && (e.issuedUntil.IsZero() || !t.IssuedAt.After(e.issuedUntil))
	})
}

// maxProbes is how many combinations of values are looked up one by one. A
// token whose claims are long lists has more, and then what is held is gone
// through instead: the product of two lists may be far larger than either.
const maxProbes = 64

func (s *shape) revokes(t *Token, now time.Time) bool {
	values := make([][]string, len(s.names))
	probes := 1
	for i, name := range s.names {
		if values[i] = t.matchable(name); len(values[i]) == 0 {
			return false
		}
		probes = min(probes*len(values[i]), maxProbes+1)
	}
	if probes <= maxProbes {
		return s.probe(values, nil, t, now)
	}
	sets := make([]map[string]bool, len(values))
	for i, list := range values {
		sets[i] = make(map[string]bool, len(list))
		for _, v := range list {
			sets[i][v] = true
		}
	}
	for _, m := range s.matches {
		if m.within(sets) && m.revokes(t, now) {
			return true
		}
	}
	return false
}

// probe looks up every way to choose one of each of values.
func (s *shape) probe(values [][]string, chosen []string, t *Token, now time.Time) bool {
	if len(chosen) == len(values) {
		m := s.matches[joined(chosen)]
		return m != nil && m.revokes(t, now)
	}
	return slices.ContainsFunc(values[len(chosen)], func(v string) bool {
		return s.probe(values, append(slices.Clip(chosen), v), t, now)
	})
}

func (m *match) within(sets []map[string]bool) bool {
	for i, v := range m.values {
		if !sets[i][v] {
			return false
		}
	}
	return true
}

// matchable returns the values of a claim that a revocation can name: of an
// array, its elements.
func (t *Token) matchable(name string) []string {
	value, ok := t.claim(name)
	if !ok {
		return nil
	}
	elements, err := strictjson.Array(value)
	if err != nil {
		elements = []string{value}
	}
	var values []string
	for _, e := range elements {
		if v, ok := claimValue(e); ok {
			values = append(values, v)
		}
	}
	return values
}

// match returns the names of Match, sorted, and their values in that order.
func (rev Revocation) match() (names, values []string, err error) {
	if iss, ok := rev.Match["iss"].(string); !ok || iss == "" {
		return nil, nil, errors.New("match has no iss")
	}
	for name := range rev.Match {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value, err := matchValue(rev.Match[name])
		if err != nil {
			return nil, nil, fmt.Errorf("match %q: %w", name, err)
		}
		values = append(values, value)
	}
	return names, values, nil
}

// joined puts strings together with their lengths, so that no two lists meet.
func joined(list []string) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(strconv.Itoa(len(s)))
		b.WriteByte(':')
		b.WriteString(s)
	}
	return b.String()
}

// matchValue is the canonical text of a value in Match: its type and value.
func matchValue(v any) (string, error) {
	if n, ok := v.(json.Number); ok {
		return number(n.String())
	}
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.String:
		return "s" + rv.String(), nil
	case reflect.Bool:
		return "b" + strconv.FormatBool(rv.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return number(strconv.FormatInt(rv.Int(), 10))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return number(strconv.FormatUint(rv.Uint(), 10))
	case reflect.Float32, reflect.Float64:
		return number(strconv.FormatFloat(rv.Float(), 'g', -1, 64))
	default:
		return "", fmt.Errorf("a %T cannot be compared; want a string, a number or a bool", v)
	}
}

// claimValue is the canonical text of a claim's value, if it is of a kind that
// can be matched.
func claimValue(value string) (string, bool) {
	if s, err := strictjson.String(value); err == nil {
		return "s" + s, true
	}
	if value == "true" || value == "false" {
		return "b" + value, true
	}
	n, err := number(value)
	return n, err == nil
}

// number is the canonical text of a number, exact to the last digit: 7, 7.0 and
// 70e-1 are one, and no two integers are.
func number(text string) (string, error) {
	if list, err := strictjson.Array("[" + text + "]"); err != nil || len(list) != 1 || strings.Trim(text, "-+.0123456789eE") != "" {
		return "", errors.New("not a number that JSON has")
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	shift := 0
	if exponent != "" {
		var err error
		if shift, err = strconv.Atoi(exponent); err != nil || shift > 1<<20 || shift < -1<<20 {
			return "", errors.New("a number out of all proportion")
		}
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	shift -= len(fraction)
	trimmed := strings.TrimRight(digits, "0")
	shift += len(digits) - len(trimmed)
	if trimmed == "" {
		return "n0", nil
	}
	sign := ""
	if negative {
		sign = "-"
	}
	return "n" + sign + trimmed + "e" + strconv.Itoa(shift), nil
}
