package jose

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
)

// SetConfig is how a key set is kept. All are required.
type SetConfig struct {
	_ struct{}

	// Fetch gets the document, unless it still is the one that had the validator:
	// then its body is nil.
	Fetch func(ctx context.Context, validator string) (Document, error)
	// MaxKeys is how many keys a set may have.
	MaxKeys int
	// RefreshInterval is when to fetch again, if the server does not say.
	RefreshInterval time.Duration
	// UnknownInterval is the shortest time between two fetches that unknown keys ask for.
	UnknownInterval time.Duration
	// MaxStale is how long keys serve that cannot be refreshed; negative: for ever.
	MaxStale time.Duration
	// Now is the clock that the times of tokens are compared with.
	Now func() time.Time
	// Report is told of every fetch. It must be safe for concurrent use.
	Report func(Event)
}

// Document is what a fetch brought.
type Document struct {
	Body      []byte        // nil: what had the validator still stands
	Validator string        // names this document in the next fetch
	MaxAge    time.Duration // of Cache-Control; negative if it said nothing
}

// Event is a change in the state of a key set.
type Event struct {
	Err       error // the fetch failed; nil: it succeeded
	Keys      int   // in the set now
	Skipped   int   // members that are no usable keys
	Changed   bool  // the keys are not those of before
	Recovered bool  // the fetch before had failed
}

// Unavailable is a fault: the keys are not known well enough to judge a token.
type Unavailable struct {
	RetryAfter time.Duration
	Err        error
}

// Error says the cause.
func (u *Unavailable) Error() string { return "jose: keys unavailable: " + u.Err.Error() }

// Unwrap returns the cause.
func (u *Unavailable) Unwrap() error { return u.Err }

// Validity says how long a verified signature may be relied on.
type Validity struct {
	Until time.Time   // when the key set is too old; zero: never
	Live  func() bool // whether the key is still published
}

// Set is the guarded key set of one issuer. It is safe for concurrent use.
//
// A token whose key is known is verified at once, whatever a fetch is doing. An
// unknown key asks for a fetch that all requests share and that is nobody's in
// particular: it goes on when the request that asked is gone. There is at most
// one such fetch in an interval, so that forged key names cost the issuer
// little; and within it a token that is younger than the keys we have is not
// refused but told to come back.
type Set struct {
	cfg     SetConfig
	keyfunc keyfunc.Keyfunc
	ctx     context.Context // ends the fetches
	wake    chan struct{}   // a round has ended
	state   atomic.Pointer[state]

	mu        sync.Mutex // guards what follows
	running   *round
	lastAsked time.Time // when an unknown key last asked for a fetch, by cfg.Now
	next      time.Time // when to refresh, by time.Now
	failures  int       // in a row
	emptyOnce bool      // the last answer was a set without a usable key
}

// state is what a successful fetch brought.
type state struct {
	*snapshot
	fetched   time.Time // when that fetch began, by cfg.Now
	validator string
}

// round is one fetch under way.
type round struct {
	done  chan struct{}
	began time.Time // by cfg.Now
	err   error     // once done
}

// Bounds of the time between two scheduled fetches.
const (
	minMaxAge = time.Minute
	maxMaxAge = time.Hour
	minRetry  = time.Second
	maxRetry  = 30 * time.Second
)

// NewSet starts to keep a key set. The fetches end with ctx.
func NewSet(ctx context.Context, cfg SetConfig) (*Set, error) {
	s := &Set{cfg: cfg, ctx: ctx, wake: make(chan struct{}, 1)}
	if err := s.useKeyfunc(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.begin() // not one that an unknown key has asked for
	s.mu.Unlock()
	go s.refresh()
	return s, nil
}

// NewFixedSet is a key set that does not change: nothing is fetched.
func NewFixedSet(doc []byte, maxKeys int) (*Set, error) {
	keys, _, err := parseSet(doc, maxKeys)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.New("jose: no usable key in the set")
	}
	s := &Set{cfg: SetConfig{MaxStale: -1}}
	s.state.Store(&state{snapshot: newSnapshot(keys)})
	return s, s.useKeyfunc(context.Background())
}

func (s *Set) useKeyfunc(ctx context.Context) (err error) {
	s.keyfunc, err = keyfunc.New(keyfunc.Options{Ctx: ctx, Storage: storage{jwkset.NewMemoryStorage()}})
	return err
}

// storage hands keyfunc the keys that a lookup names. It holds none itself.
type storage struct{ jwkset.Storage }

// KeyReadAll returns the candidates of the lookup that ctx is.
func (storage) KeyReadAll(ctx context.Context) ([]jwkset.JWK, error) {
	l, ok := ctx.Value(lookupKey{}).(*lookup)
	if !ok {
		return nil, errors.New("jose: no lookup in the context")
	}
	return l.candidates.jwks, nil
}

type lookupKey struct{}

// lookup is a context that carries which keys to try through keyfunc.
type lookup struct {
	context.Context
	candidates *candidates
}

// Value makes lookup a context that carries itself.
func (l *lookup) Value(key any) any {
	if _, ok := key.(lookupKey); ok {
		return l
	}
	return l.Context.Value(key)
}

// Verify checks the signature of j. Its errors are ErrAlgorithm, ErrKey,
// ErrSignature, which are refusals, and *Unavailable.
func (s *Set) Verify(ctx context.Context, j *JWS) (Validity, error) {
	if _, ok := algorithms[j.Algorithm]; !ok {
		return Validity{}, ErrAlgorithm
	}
	now := s.state.Load()
	if s.usable(now) == nil {
		v, err := s.try(ctx, now, j)
		if err == nil || now.names(j.KeyID) || s.cfg.Fetch == nil {
			return v, err
		}
	}
	return s.tryNewer(ctx, now, j)
}

// Ready returns nil if there are keys to verify with.
func (s *Set) Ready() error {
	now := s.state.Load()
	if err := s.usable(now); err != nil {
		return err
	}
	if len(now.keys) == 0 {
		return errNoKeys
	}
	return nil
}

// usable says whether a token can be judged by now, which may well be empty.
func (s *Set) usable(now *state) error {
	switch {
	case now == nil:
		return errNoKeys
	case s.stale(now):
		return errStale
	default:
		return nil
	}
}

var (
	errNoKeys = errors.New("jose: no keys yet")
	errStale  = errors.New("jose: the keys are too old")
	errRecent = errors.New("jose: key not known, and asked for keys a moment ago")
)

func (s *Set) stale(now *state) bool {
	return s.cfg.MaxStale >= 0 && s.cfg.Now().Sub(now.fetched) > s.cfg.MaxStale
}

// try verifies with the keys of one state: at most maxTried.
func (s *Set) try(ctx context.Context, now *state, j *JWS) (Validity, error) {
	c := now.find(j.KeyID, j.Algorithm)
	if c == nil {
		return Validity{}, ErrKey
	}
	signature, err := decode(j.signature)
	if err != nil {
		return Validity{}, err
	}
	set, err := s.keyfunc.VerificationKeySet(&lookup{ctx, c})
	if err != nil {
		return Validity{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	method := algorithms[j.Algorithm].method
	for i, public := range set.Keys {
		if method.Verify(j.signed, signature, public) == nil {
			return s.validity(now, c.keys[i]), nil
		}
	}
	return Validity{}, ErrSignature
}

func (s *Set) validity(now *state, k *key) Validity {
	v := Validity{Live: k.live}
	if s.cfg.MaxStale >= 0 {
		v.Until = now.fetched.Add(s.cfg.MaxStale)
	}
	return v
}

// tryNewer is for a token whose key is not among those tried: it waits for newer
// keys, if any may be had now. A fetch that was under way before the token came
// may have missed its key, so then it asks once more.
func (s *Set) tryNewer(ctx context.Context, tried *state, j *JWS) (Validity, error) {
	for {
		r, mine, next := s.ask(tried)
		if r == nil {
			return Validity{}, s.unknown(tried, j, next)
		}
		if err := s.wait(ctx, r, next); err != nil {
			return Validity{}, err
		}
		now := s.state.Load()
		if s.usable(now) == nil {
			v, err := s.try(ctx, now, j)
			if err == nil || mine || now.names(j.KeyID) {
				return v, err
			}
		}
		tried = now
	}
}

// wait waits for r. Its errors are faults.
func (s *Set) wait(ctx context.Context, r *round, next time.Time) error {
	select {
	case <-r.done:
	case <-ctx.Done():
		return &Unavailable{Err: ctx.Err()}
	}
	if r.err != nil {
		return &Unavailable{RetryAfter: s.untilNext(next), Err: r.err}
	}
	return nil
}

// unknown tells a token that could have been signed with a key newer than ours,
// which must come back, from one that could not, which is refused. iat is whole
// seconds, so the second in which the keys were fetched counts as after.
func (s *Set) unknown(now *state, j *JWS, next time.Time) error {
	if err := s.usable(now); err != nil {
		return &Unavailable{RetryAfter: s.untilNext(next), Err: err}
	}
	issuedAt, ok := j.unverifiedIssuedAt()
	if ok && !issuedAt.Before(now.fetched.Truncate(time.Second)) {
		return &Unavailable{RetryAfter: s.untilNext(next), Err: errRecent}
	}
	return ErrKey
}

// untilNext is the time until the next slot for a fetch.
func (s *Set) untilNext(next time.Time) time.Duration {
	return max(next.Sub(s.cfg.Now()), time.Second)
}
