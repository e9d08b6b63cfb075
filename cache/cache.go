package cache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/oauthz/oauthz"
)

// Config bounds a [Cache]. The zero value is usable.
type Config struct {
	_ struct{}

	// MaxTokens is how many tokens are remembered. Default 100,000.
	MaxTokens int
	// MaxBytes is how many bytes of the heap the remembered tokens take, within
	// 20 % (see [oauthz.Token.Size]). Each token counts at least as
	// MaxBytes/MaxTokens. Refusals do not count. Default 64 MiB.
	MaxBytes int64
	// TTL is how long a verdict is served, if the token does not end before.
	// Default 1 min.
	TTL time.Duration
	// NegativeTTL is how long a refusal is served. Default 5 s; negative: not at
	// all.
	NegativeTTL time.Duration
	// StaleIfError is how long beyond its TTL a verdict may be served while the
	// introspector faults (never when it refuses), if the token does not end
	// before. The Decision says so. Default: not at all.
	StaleIfError time.Duration
	// RefreshAhead is how long before the end of its TTL a verdict that is served
	// is asked for again in the background, so that busy tokens never wait. It
	// must be less than TTL. Default: not at all.
	RefreshAhead time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
}

const (
	defaultMaxTokens   = 100_000
	defaultMaxBytes    = 64 << 20
	defaultTTL         = time.Minute
	defaultNegativeTTL = 5 * time.Second
	entryBytes         = 184    // of a token, beside it: a verdict (64), and otter's node (80) and index (about 40)
	maxRefusals        = 10_000 // apart from the tokens, and small: see the package comment
)

// Cache is an [oauthz.Introspector] around another. It is safe for concurrent
// use.
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

// buffers spare a copy of the token on the heap for each request.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func keyOf(token string) key {
	b := buffers.Get().(*[]byte)
	*b = append((*b)[:0], token...)
	k := key(sha256.Sum256(*b))
	clear(*b) // it was a secret
	buffers.Put(b)
	return k
}

// verdict is what the introspector said, and when.
type entry struct {
	token  *oauthz.Token // nil: refused
	err    error
	stored time.Time // with a monotonic reading, if the clock has one: TTLs do not follow a clock that is set

	refreshed atomic.Int64 // the age at which RefreshAhead last asked again; 0: never
}

// New makes a Cache, or says everything that is wrong with cfg. It refuses an
// introspector that must be asked each time: see [oauthz.Cacheable].
func New(next oauthz.Introspector, cfg Config) (*Cache, error) {
	if err := check(next, &cfg); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	tokens, err := otter.New(&otter.Options[key, *entry]{
		MaximumWeight: uint64(cfg.MaxBytes),
		// A token weighs at least its share, so that both bounds hold.
		Weigher: func(_ key, v *entry) uint32 {
			return uint32(min(max(int64(entryBytes+v.token.Size()), cfg.MaxBytes/int64(cfg.MaxTokens)), 1<<31))
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

// inline runs otter's upkeep where it is due, without a goroutine.
func inline(f func()) { f() }

func check(next oauthz.Introspector, cfg *Config) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("cache: config: "+format, args...)) }
	switch v := reflect.ValueOf(next); {
	case next == nil, (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil():
		wrong("the introspector is nil")
	case !oauthz.Cacheable(next):
		wrong("what CheckRevoked lets through must be asked for each time: put CheckRevoked around the cache")
	}
	if cfg.MaxTokens < 0 || cfg.MaxBytes < 0 {
		wrong("MaxTokens or MaxBytes is negative")
	}
	if cfg.TTL < 0 {
		wrong("TTL is negative: without one, do without the cache")
	}
	if ttl := cfg.withDefaults().TTL; cfg.RefreshAhead > 0 && cfg.RefreshAhead >= ttl {
		wrong("RefreshAhead: %v is not less than TTL %v", cfg.RefreshAhead, ttl)
	}
	return errors.Join(errs...)
}

func (cfg Config) withDefaults() Config {
	if cfg.MaxTokens == 0 {
		cfg.MaxTokens = defaultMaxTokens
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	if cfg.TTL == 0 {
		cfg.TTL = defaultTTL
	}
	if cfg.NegativeTTL == 0 {
		cfg.NegativeTTL = defaultNegativeTTL
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

// Introspect answers from memory where it may, and otherwise asks, once for all
// who want to know of the same token.
func (c *Cache) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	k := keyOf(token)
	now := c.cfg.Now()
	if v := c.lookup(k, now); v != nil {
		c.counters.hits.Add(1)
		oauthz.ReportSource(ctx, oauthz.Remembered)
		if c.cfg.RefreshAhead > 0 && v.token != nil && c.shouldRefresh(v, now.Sub(v.stored)) {
			c.flights.join(k, func(ctx context.Context, f *flight) { c.call(ctx, f, k, token) })
		}
		return v.token, v.err
	}
	c.counters.misses.Add(1)
	v, known := c.tokens.GetIfPresent(k)
	t, err := c.shared(ctx, k, token)
	if err != nil && known && isFault(err) && ctx.Err() == nil && c.servesStale(k, v) {
		c.counters.stale.Add(1)
		oauthz.ReportSource(ctx, oauthz.Stale)
		return v.token, nil
	}
	return t, err
}

// recall is what is remembered of k and may be served as it is, or nil.
func (c *Cache) lookup(k key, now time.Time) *entry {
	if v, ok := c.tokens.GetIfPresent(k); ok && c.fresh(v, now) {
		return v
	}
	if r, ok := c.refusals.GetIfPresent(k); ok && within(now.Sub(r.stored), c.cfg.NegativeTTL) {
		return r
	}
	return nil
}

// within says whether an age is below a bound, and one that can be: a clock that
// was set back makes nothing younger than it is.
func within(age, bound time.Duration) bool { return age >= 0 && age < bound }

// fresh says whether v may be served as it is.
func (c *Cache) fresh(v *entry, now time.Time) bool {
	return within(now.Sub(v.stored), c.cfg.TTL) && stillValid(v.token, now)
}

// shouldRefresh says whether it is time to ask again for a verdict that is still
// served, and lets one of many do it, and not again at once: an introspector
// that faults is not to be hammered.
func (c *Cache) shouldRefresh(v *entry, age time.Duration) bool {
	if c.cfg.TTL-age > c.cfg.RefreshAhead {
		return false
	}
	last := v.refreshed.Load()
	again := max(c.cfg.RefreshAhead/4, time.Second)
	return (last == 0 || age-time.Duration(last) >= again) && v.refreshed.CompareAndSwap(last, int64(age))
}

// servesStale says whether v may be served though it is not fresh. The time is
// taken after the introspector has failed, which may have taken long, and v must
// still be what is remembered: it may have been forgotten meanwhile. The leeway
// of the introspector does not count here.
func (c *Cache) servesStale(k key, v *entry) bool {
	if c.cfg.StaleIfError <= 0 {
		return false
	}
	if still, ok := c.tokens.GetIfPresent(k); !ok || still != v {
		return false
	}
	now, exp := c.cfg.Now(), v.token.ExpiresAt
	return within(now.Sub(v.stored), c.cfg.TTL+c.cfg.StaleIfError) && stillValid(v.token, now) && (exp.IsZero() || now.Before(exp))
}

// stands says whether the token itself, and what verified it, still do.
func stillValid(t *oauthz.Token, now time.Time) bool {
	until, live := t.Validity()
	return live && (until.IsZero() || now.Before(until))
}

// isFault: nothing was said of the token. An *oauthz.Error says so by its
// status, whatever it wraps, as it does to a Guard.
func isFault(err error) bool {
	var e *oauthz.Error
	if errors.As(err, &e) {
		return e.Status >= 500
	}
	return !errors.Is(err, oauthz.ErrInvalidToken) && !errors.Is(err, oauthz.ErrUnrecognized)
}

// wait asks, or waits with who asks already.
func (c *Cache) shared(ctx context.Context, k key, token string) (*oauthz.Token, error) {
	f := c.flights.join(k, func(ctx context.Context, f *flight) {
		// Another flight may have ended since the caller looked.
		if v := c.lookup(k, c.cfg.Now()); v != nil {
			f.token, f.err = v.token, v.err
			return
		}
		c.call(ctx, f, k, token)
	})
	defer c.flights.leave(k, f)
	select {
	case <-f.done:
		return f.token, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: cache: %w", oauthz.ErrUnavailable, ctx.Err())
	}
}

// ask asks for all who wait for f, and remembers the answer.
func (c *Cache) call(ctx context.Context, f *flight, k key, token string) {
	c.counters.calls.Add(1)
	f.token, f.err = c.next.Introspect(ctx, token)
	if f.token == nil && f.err == nil {
		f.err = errors.New("cache: introspector returned neither a token nor an error")
	}
	c.flights.store(f, func() { c.remember(k, f) })
}

// remember keeps a token that still stands, and a refusal. A refusal of any kind
// ends what was remembered, also where a refresh brought the news; a fault ends
// nothing.
func (c *Cache) remember(k key, f *flight) {
	now := c.cfg.Now()
	v := &entry{token: f.token, err: f.err, stored: now}
	switch {
	case f.err == nil:
		c.refusals.Invalidate(k)
		if stillValid(f.token, now) {
			c.tokens.Set(k, v)
		} else {
			c.tokens.Invalidate(k) // what came before is not the last word
		}
	case isFault(f.err):
	default:
		c.tokens.Invalidate(k)
		if c.cfg.NegativeTTL > 0 && errors.Is(f.err, oauthz.ErrInvalidToken) && !isTemporary(f.err) {
			c.refusals.Set(k, v)
		}
	}
}

// isTemporary: a refusal that may not be remembered says so, as errors of
// package net do.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// Forget drops the verdict on token at once: when token was revoked, say. The
// answer to a call in flight is not remembered.
//
// Forget drops the one encoding that it is given. Another encoding of the same
// token (an ES256 signature has two that verify, and some servers take base64 with
// padding) is another entry, which is served until its TTL ends. To revoke a token
// with all its encodings, use a [oauthz.Revoker]: see [oauthz.TokenHash].
func (c *Cache) Forget(token string) {
	k := keyOf(token)
	c.flights.forget(k, func() {
		c.tokens.Invalidate(k)
		c.refusals.Invalidate(k)
	})
}

// Purge drops everything, in the same way.
func (c *Cache) Purge() { c.flights.forgetAll(c.clear) }

func (c *Cache) clear() {
	c.tokens.InvalidateAll()
	c.refusals.InvalidateAll()
}

// Stats is how a cache is doing. The counters begin with the cache.
type Stats struct {
	Hits     int64 // answered from memory
	Misses   int64 // not
	Stale    int64 // of the misses: answered from memory all the same
	Calls    int64 // to the introspector
	Tokens   int   // held
	Refusals int   // held
	Bytes    int64 // that the tokens take, as MaxBytes counts them
}

type counters struct{ hits, misses, stale, calls atomic.Int64 }

// Stats returns how the cache is doing.
func (c *Cache) Stats() Stats {
	return Stats{
		Hits: c.counters.hits.Load(), Misses: c.counters.misses.Load(), Stale: c.counters.stale.Load(), Calls: c.counters.calls.Load(),
		Tokens: c.tokens.EstimatedSize(), Refusals: c.refusals.EstimatedSize(), Bytes: int64(c.tokens.WeightedSize()),
	}
}

// Close ends the calls that are under way and what the cache has started, and
// drops everything. What is asked afterwards is asked of the introspector in
// vain: it is a fault.
func (c *Cache) Close() error {
	c.flights.close(c.end, c.clear)
	c.tokens.StopAllGoroutines()
	c.refusals.StopAllGoroutines()
	return nil
}
