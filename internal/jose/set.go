package jose

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
)

// SetConfig is how a key set is kept. All are required.
type SetConfig struct {
	_ struct{}

	// Fetch returns the document, with a nil Body if it still is the one that had
	// the validator.
	Fetch func(ctx context.Context, want Want) (Document, error)
	// MaxKeys is how many keys a set may have.
	MaxKeys int
	// RefreshInterval is when to fetch again, if the server does not say.
	RefreshInterval time.Duration
	// UnknownInterval is the shortest time between two fetches that unknown keys ask for.
	UnknownInterval time.Duration
	// MaxStale is how long keys serve that cannot be refreshed; negative: without
	// an end. After the end of the context it is RefreshInterval at most.
	MaxStale time.Duration
	// Leeway is how far the issuer's clock and Now may differ; zero: not at all.
	Leeway time.Duration
	// Now is the clock that the times of tokens are compared with.
	Now func() time.Time
	// Report is told of every fetch. It must be safe for concurrent use.
	Report func(Event)
}

// Want qualifies a fetch.
type Want struct {
	Validator string // of the document at hand; "" if there is none
	NoCache   bool   // a copy that a cache on the way has stored is not enough
}

// Document is the result of a fetch.
type Document struct {
	Body      []byte        // nil: the document that had the validator still stands
	Validator string        // names this document in the next fetch
	MaxAge    time.Duration // of Cache-Control; negative if there is none
	Age       time.Duration // positive if a cache answered: the greatest age of its copy
}

// Event is a change in the state of a key set.
type Event struct {
	Err       error // the fetch failed; nil: it succeeded
	Keys      int   // in the set now
	Skipped   int   // members that are not usable keys
	Private   int   // usable keys with private members, if there were none before
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
// unknown key causes a fetch that all requests share and that belongs to none
// of them: it goes on when the request that caused it is gone. There is at most
// one such fetch in an interval, so that forged key names cost the issuer
// little; and within the interval a token that may be younger than the keys at
// hand is not refused: the caller must come back.
type Set struct {
	cfg     SetConfig
	keyfunc keyfunc.Keyfunc
	ctx     context.Context // ends the fetches
	state   atomic.Pointer[state]
	gate    atomic.Pointer[Gate]

	mu        sync.Mutex // guards what follows
	running   *round
	timer     *time.Timer // calls refresh
	asked     time.Time   // when an unknown key last caused a fetch, by cfg.Now
	slot      time.Time   // when the next one may, by cfg.Now
	failures  int         // in a row
	emptyOnce bool        // the last answer was a set without a usable key
}

// state is the result of a successful fetch.
type state struct {
	*snapshot
	fetched   time.Time // when that fetch began, by cfg.Now
	published time.Time // the document is not older: fetched, less its age in a cache
	validator string
	private   bool // keys of it were published with private members
}

// round is one fetch under way.
type round struct {
	done    chan struct{}
	began   time.Time // by cfg.Now
	noCache bool      // caused by a token that the keys at hand do not verify
	awaited bool      // by such a token, whatever caused it; guarded by Set.mu
	slot    Gate      // to be given back; nil: none was taken
	err     error     // once done
}

// NewSet starts to keep a key set. The fetches end with ctx.
func NewSet(ctx context.Context, cfg SetConfig) (*Set, error) {
	s := &Set{cfg: cfg, ctx: ctx}
	if err := s.useKeyfunc(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(maxMaxAge, s.refresh) // the end of the first round resets it
	s.begin(&round{})
	context.AfterFunc(ctx, s.end)
	return s, nil
}

// NewFixedSet returns a key set that does not change: nothing is fetched. The
// Event is that of reading it.
func NewFixedSet(doc []byte, maxKeys int) (*Set, Event, error) {
	read, err := parseSet(doc, maxKeys)
	if err != nil {
		return nil, Event{}, err
	}
	if len(read.keys) == 0 {
		return nil, Event{}, errUnusable
	}
	s := &Set{cfg: SetConfig{MaxStale: -1}}
	s.state.Store(&state{snapshot: newSnapshot(read.keys)})
	return s, read.event(), s.useKeyfunc(context.Background())
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
