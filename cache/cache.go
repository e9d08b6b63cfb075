package cache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/oauthz/oauthz"
)

const (
	entryBytes  = 184    // overhead per token: an entry (64), otter's node (80) and its index (about 40)
	maxRefusals = 10_000 // stored separately from the tokens; see the package comment
)

// Cache is an [oauthz.Introspector] that remembers the answers of another one. It is
// safe for concurrent use.
type Cache struct {
	next     oauthz.Introspector
	cfg      Config
	tokens   *otter.Cache[key, *entry]
	refusals *otter.Cache[key, *entry]
	flights  flights
	counters counters
	end      context.CancelFunc
}

// key is the SHA-256 of a token.
type key [sha256.Size]byte

// buffers holds buffers for hashing, so that a request does not copy the token to the heap.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func keyOf(token string) key {
	b := buffers.Get().(*[]byte)
	*b = append((*b)[:0], token...)
	k := key(sha256.Sum256(*b))
	clear(*b) // the token is a secret
	buffers.Put(b)
	return k
}

// entry is an answer of the introspector, and the time of that answer.
type entry struct {
	token  *oauthz.Token // nil: a refusal
	err    error
	stored time.Time // with a monotonic reading, if the clock has one: setting the wall clock then does not change a TTL

	refreshed atomic.Int64 // the age of the entry at its last background refresh; 0: never refreshed
}

// New returns a Cache, or an error that joins every mistake in cfg. It refuses an
// introspector that must be called for every request: see [oauthz.Cacheable].
func New(next oauthz.Introspector, cfg Config) (*Cache, error) {
	if err := check(next, &cfg); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	tokens, err := otter.New(&otter.Options[key, *entry]{
		MaximumWeight: uint64(cfg.MaxBytes),
		// A token weighs at least its share of MaxBytes, so that both bounds hold.
		Weigher: func(_ key, e *entry) uint32 {
			return uint32(min(max(int64(entryBytes+e.token.Size()), cfg.MaxBytes/int64(cfg.MaxTokens)), 1<<31))
		},
		Executor: inline,
	})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	refusals, err := otter.New(&otter.Options[key, *entry]{MaximumSize: maxRefusals, Executor: inline})
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	ctx, end := context.WithCancel(context.Background())
	return &Cache{
		next: next, cfg: cfg, tokens: tokens, refusals: refusals, end: end,
		flights: flights{ctx: ctx, running: map[key]*flight{}},
	}, nil
}

// inline runs otter's maintenance in the calling goroutine instead of a new one.
func inline(f func()) { f() }

// Introspect returns the remembered answer if there is one. Otherwise it calls the
// introspector, once for all concurrent requests with the same token.
func (c *Cache) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	k := keyOf(token)
	now := c.cfg.Now()
	if e := c.lookup(k, now); e != nil {
		c.counters.hits.Add(1)
		oauthz.ReportSource(ctx, oauthz.SourceRemembered)
		if c.cfg.RefreshAhead > 0 && e.token != nil && c.shouldRefresh(e, now.Sub(e.stored)) {
			c.flights.join(k, func(ctx context.Context, f *flight) { c.call(ctx, f, k, token) })
		}
		return e.token, e.err
	}
	c.counters.misses.Add(1)
	e, known := c.tokens.GetIfPresent(k)
	t, err := c.shared(ctx, k, token)
	if err != nil && known && isFault(err) && ctx.Err() == nil && c.servesStale(k, e) {
		c.counters.stale.Add(1)
		oauthz.ReportSource(ctx, oauthz.SourceStale)
		return e.token, nil
	}
	return t, err
}

// lookup returns the entry of k that may be served without a call, or nil.
func (c *Cache) lookup(k key, now time.Time) *entry {
	if e, ok := c.tokens.GetIfPresent(k); ok && c.fresh(e, now) {
		return e
	}
	if r, ok := c.refusals.GetIfPresent(k); ok && within(now.Sub(r.stored), c.cfg.NegativeTTL) {
		return r
	}
	return nil
}

// within reports whether age is less than bound and not negative. An age is negative
// if the clock was set back, and an entry must not live longer because of that.
func within(age, bound time.Duration) bool { return age >= 0 && age < bound }

// fresh reports whether e may be served without a call.
func (c *Cache) fresh(e *entry, now time.Time) bool {
	return within(now.Sub(e.stored), c.cfg.TTL) && stillValid(e.token, now)
}

// shouldRefresh reports whether the caller should refresh an entry that it serves.
// It returns true to one of many concurrent callers, and then to none for a while,
// so that an introspector that returns faults is not called on every request.
func (c *Cache) shouldRefresh(e *entry, age time.Duration) bool {
	if c.cfg.TTL-age > c.cfg.RefreshAhead {
		return false
	}
	last := e.refreshed.Load()
	again := max(c.cfg.RefreshAhead/4, time.Second)
	return (last == 0 || age-time.Duration(last) >= again) && e.refreshed.CompareAndSwap(last, int64(age))
}

// servesStale reports whether e may be served although it is not fresh. It takes the
// time after the introspector has failed, because the failure may have taken long.
// e must still be the current entry: it may have been forgotten during the call.
// The leeway of the introspector does not extend the exp of a stale token.
func (c *Cache) servesStale(k key, e *entry) bool {
	if c.cfg.StaleIfError <= 0 {
		return false
	}
	if still, ok := c.tokens.GetIfPresent(k); !ok || still != e {
		return false
	}
	now, exp := c.cfg.Now(), e.token.ExpiresAt
	return within(now.Sub(e.stored), c.cfg.TTL+c.cfg.StaleIfError) && stillValid(e.token, now) && (exp.IsZero() || now.Before(exp))
}

// stillValid reports whether the token has not expired and the key that verified it
// is not withdrawn.
func stillValid(t *oauthz.Token, now time.Time) bool {
	until, live := t.Validity()
	return live && (until.IsZero() || now.Before(until))
}

// isFault reports whether err decides nothing about the token. The status of an
// *oauthz.Error decides, regardless of the error that it wraps, as in a Guard.
func isFault(err error) bool {
	var e *oauthz.Error
	if errors.As(err, &e) {
		return e.Status >= 500
	}
	return !errors.Is(err, oauthz.ErrInvalidToken) && !errors.Is(err, oauthz.ErrUnrecognized)
}

// shared waits for the answer of the call in flight for k. It starts the call if none
// is in flight.
func (c *Cache) shared(ctx context.Context, k key, token string) (*oauthz.Token, error) {
	f := c.flights.join(k, func(ctx context.Context, f *flight) {
		// Another call may have ended after the caller looked.
		if e := c.lookup(k, c.cfg.Now()); e != nil {
			f.token, f.err = e.token, e.err
			return
		}
		c.call(ctx, f, k, token)
	})
	defer c.flights.leave(k, f)
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: waiting for the introspector: %w", oauthz.ErrUnavailable, ctx.Err())
	}
}

// call calls the introspector for all waiters of f, and remembers the answer.
func (c *Cache) call(ctx context.Context, f *flight, k key, token string) {
	c.counters.calls.Add(1)
	f.token, f.err = c.next.Introspect(ctx, token)
	if f.token == nil && f.err == nil {
		f.err = errors.New("cache: introspector returned neither a token nor an error")
	}
	c.flights.store(f, func() { c.remember(k, f) })
}

// remember stores a token that is still valid, and a refusal. A refusal of any kind
// removes the entry of the token, also after a background refresh. A fault removes
// nothing.
func (c *Cache) remember(k key, f *flight) {
	now := c.cfg.Now()
	e := &entry{token: f.token, err: f.err, stored: now}
	switch {
	case f.err == nil:
		c.refusals.Invalidate(k)
		if stillValid(f.token, now) {
			c.tokens.Set(k, e)
		} else {
			c.tokens.Invalidate(k) // the new answer replaces the old entry
		}
	case isFault(f.err):
	default:
		c.tokens.Invalidate(k)
		if c.cfg.NegativeTTL > 0 && errors.Is(f.err, oauthz.ErrInvalidToken) && !isTemporary(f.err) {
			c.refusals.Set(k, e)
		}
	}
}

// isTemporary reports whether a refusal must not be remembered. Such an error has a
// Temporary method that returns true, like errors of package net.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// Forget removes the entry of token at once, for example after token was revoked.
// The answer of a call that is in flight is not remembered.
//
// Forget removes only the encoding that it is called with. Another encoding of the
// same token (an ES256 signature has two valid encodings, and some servers accept
// base64 with padding) has an entry of its own, which is served until its TTL ends.
// To revoke a token with all its encodings, use an [oauthz.Revoker]: see
// [oauthz.TokenHash].
func (c *Cache) Forget(token string) {
	k := keyOf(token)
	c.flights.forget(k, func() {
		c.tokens.Invalidate(k)
		c.refusals.Invalidate(k)
	})
}

// Purge removes all entries. The answers of calls in flight are not remembered.
func (c *Cache) Purge() { c.flights.forgetAll(c.clear) }

func (c *Cache) clear() {
	c.tokens.InvalidateAll()
	c.refusals.InvalidateAll()
}

// Stats holds counters of a cache since its creation, and its current size.
type Stats struct {
	Hits     int64 // answered from memory without a call
	Misses   int64 // not answered from memory without a call
	Stale    int64 // misses that were answered from memory after a fault
	Calls    int64 // calls to the introspector
	Tokens   int   // remembered tokens
	Refusals int   // remembered refusals
	Bytes    int64 // bytes of the remembered tokens, counted as for MaxBytes
}

type counters struct{ hits, misses, stale, calls atomic.Int64 }

// Stats returns the statistics of the cache.
func (c *Cache) Stats() Stats {
	return Stats{
		Hits: c.counters.hits.Load(), Misses: c.counters.misses.Load(), Stale: c.counters.stale.Load(), Calls: c.counters.calls.Load(),
		Tokens: c.tokens.EstimatedSize(), Refusals: c.refusals.EstimatedSize(), Bytes: int64(c.tokens.WeightedSize()),
	}
}

// Close cancels the calls in flight, waits until they and all goroutines of the
// cache have ended, and removes all entries. After Close, Introspect does not call
// the introspector and returns a fault.
func (c *Cache) Close() error {
	c.flights.close(c.end, c.clear)
	c.tokens.StopAllGoroutines()
	c.refusals.StopAllGoroutines()
	return nil
}
