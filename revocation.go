package oauthz

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// MaxLeeway is the most that an introspector may allow for clocks that differ.
// A revocation is kept this much longer than it says, so that no token outlives it.
const MaxLeeway = 5 * time.Minute

// MatchTokenHash names the base64url(SHA-256(token)) of a token in
// [Revocation.Match]. Only tokens that a server was asked about carry it, for
// those that have no stable jti. A JWT verified locally never has it, whatever
// it claims: every ES256 token has a valid twin with other bytes.
const MatchTokenHash = "token_sha256"

// Revocation says which tokens are revoked.
type Revocation struct {
	// Match holds claims that a token must all carry: a string, a number or a
	// bool each, compared by type and value (7 is not "7"). A claim that is an
	// array matches if it contains the value. "iss" is required: a jti or a
	// subject means nothing without its issuer.
	Match map[string]any
	// IssuedUntil limits it to tokens issued (iat) at this time or before. A
	// token without iat counts as issued before. Zero: whenever issued.
	IssuedUntil time.Time
	// Expires is when the last token that it can match is dead. Zero: it is
	// kept for ever.
	Expires time.Time
	// Reason and At are for the people who read the list.
	Reason string
	At     time.Time
}

// RevocationList says whether a token is revoked. It must be safe for
// concurrent use, and only reads t. An error means that it cannot tell, and the
// request is answered with 503.
type RevocationList interface {
	Revoked(ctx context.Context, t *Token) (bool, error)
}

// Revoker records revocations: all of them, or none and an error.
type Revoker interface {
	Revoke(ctx context.Context, revs ...Revocation) error
}

// CheckRevoked asks lists about every token that next lets through: for uses
// without a [Guard], which has [Config.Revocations]. It is not [Cacheable].
func CheckRevoked(next Introspector, lists ...RevocationList) (Introspector, error) {
	if isNil(next) {
		return nil, errors.New("oauthz: CheckRevoked: introspector is nil")
	}
	if len(lists) == 0 {
		return nil, errors.New("oauthz: CheckRevoked: no list")
	}
	for i, l := range lists {
		if isNil(l) {
			return nil, fmt.Errorf("oauthz: CheckRevoked: list %d is nil", i)
		}
	}
	return &revocationCheck{next, slices.Clone(lists)}, nil
}

type revocationCheck struct {
	next  Introspector
	lists []RevocationList
}

func (c *revocationCheck) Introspect(ctx context.Context, token string) (*Token, error) {
	t, err := c.next.Introspect(ctx, token)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, errNilToken
	}
	if err := askLists(ctx, c.lists, t); err != nil {
		return nil, err
	}
	return t, nil
}

// Cacheable says whether the verdicts of in may be remembered: not those of
// [CheckRevoked], which must ask each time, nor of a [FirstOf] that has one.
func Cacheable(in Introspector) bool {
	switch in := in.(type) {
	case *revocationCheck:
		return false
	case firstOf:
		return !slices.ContainsFunc(in, func(one Introspector) bool { return !Cacheable(one) })
	default:
		return true
	}
}

// askLists returns nil, ErrRevoked, or a fault whatever a list's error wraps.
func askLists(ctx context.Context, lists []RevocationList, t *Token) error {
	for _, l := range lists {
		revoked, err := l.Revoked(ctx, t)
		if err != nil {
			return unavailable(err)
		}
		if revoked {
			return ErrRevoked
		}
	}
	return nil
}

// Revocations is a list in memory, which is a [RevocationList] and a [Revoker].
// The zero value is ready; it is safe for concurrent use and starts no
// goroutine. Entries go [MaxLeeway] after they expire.
type Revocations struct {
	// Now is the clock; default time.Now. Set it before the first use.
	Now func() time.Time

	mu     sync.RWMutex
	shapes map[string]*shape // by the sorted names, joined by NUL
	sweep  time.Time         // when to look for expired entries next
}

// shape holds the entries that match by the same claims: one lookup finds them.
type shape struct {
	names   []string // sorted
	entries map[string][]entry
}

type entry struct {
	issuedUntil time.Time
	ends        time.Time // zero: never
}

// Revoke adds revs. If one of them cannot be taken, none is.
func (r *Revocations) Revoke(_ context.Context, revs ...Revocation) error {
	type addition struct {
		names []string
		key   string
		entry entry
	}
	additions := make([]addition, len(revs))
	for i, rev := range revs {
		names, key, err := rev.key()
		if err != nil {
			return fmt.Errorf("oauthz: revocation %d: %w", i, err)
		}
		e := entry{issuedUntil: rev.IssuedUntil}
		if !rev.Expires.IsZero() {
			e.ends = rev.Expires.Add(MaxLeeway)
		}
		additions[i] = addition{names, key, e}
	}
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropExpired(now)
	for _, a := range additions {
		r.add(a.names, a.key, a.entry)
	}
	return nil
}

func (r *Revocations) add(names []string, key string, e entry) {
	id := strings.Join(names, "\x00")
	s := r.shapes[id]
	if s == nil {
		s = &shape{names: names, entries: map[string][]entry{}}
		if r.shapes == nil {
			r.shapes = map[string]*shape{}
		}
		r.shapes[id] = s
	}
	if !slices.Contains(s.entries[key], e) {
		s.entries[key] = append(s.entries[key], e)
	}
}

// dropExpired looks through all entries, at most once a minute.
func (r *Revocations) dropExpired(now time.Time) {
	if now.Before(r.sweep) {
		return
	}
	r.sweep = now.Add(time.Minute)
	for id, s := range r.shapes {
		for key, entries := range s.entries {
			entries = slices.DeleteFunc(entries, func(e entry) bool { return e.over(now) })
			if s.entries[key] = entries; len(entries) == 0 {
				delete(s.entries, key)
			}
		}
		if len(s.entries) == 0 {
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
		for _, key := range s.keys(t) {
			for _, e := range s.entries[key] {
				if !e.over(now) && (e.issuedUntil.IsZero() || !t.IssuedAt.After(e.issuedUntil)) {
					return true, nil
				}
			}
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

// key returns the names of Match, sorted, and the values in that order.
func (rev Revocation) key() (names []string, key string, err error) {
	if iss, ok := rev.Match["iss"].(string); !ok || iss == "" {
		return nil, "", errors.New("match has no iss")
	}
	for name := range rev.Match {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value, err := matchValue(rev.Match[name])
		if err != nil {
			return nil, "", fmt.Errorf("match %q: %w", name, err)
		}
		key = joinKey(key, value)
	}
	return names, key, nil
}

// joinKey appends a value with its length, so that no two lists of values meet.
func joinKey(key, value string) string { return key + strconv.Itoa(len(value)) + ":" + value }

// keys returns the keys under which t may be held: one, or several where a
// claim is an array.
func (s *shape) keys(t *Token) []string {
	keys := []string{""}
	for _, name := range s.names {
		value, ok := t.claim(name)
		if !ok {
			return nil
		}
		values := []string{value}
		if elements, err := strictjson.Array(value); err == nil {
			values = elements
		}
		var longer []string
		for _, key := range keys {
			for _, v := range values {
				if c, ok := claimValue(v); ok {
					longer = append(longer, joinKey(key, c))
				}
			}
		}
		keys = longer
	}
	return keys
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
		return "n" + strconv.FormatInt(rv.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "n" + strconv.FormatUint(rv.Uint(), 10), nil
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

// number is the canonical text of a number: 7, 7.0 and 70e-1 are one. An
// integer keeps all its digits, beyond what float64 can tell apart.
func number(text string) (string, error) {
	if _, err := strconv.ParseInt(text, 10, 64); err == nil && text != "-0" {
		return "n" + text, nil
	}
	f, err := strictjson.Number(text)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return "", errors.New("not a number that JSON has")
	}
	const exact = 1 << 53
	if f == math.Trunc(f) && math.Abs(f) <= exact {
		return "n" + strconv.FormatInt(int64(f), 10), nil
	}
	if strings.Trim(text, "0123456789") == "" { // an integer beyond int64
		return "n" + text, nil
	}
	return "n" + strconv.FormatFloat(f, 'g', -1, 64), nil
}
