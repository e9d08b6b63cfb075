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

// SetConfig configures a [Set] that fetches its keys. All fields are required,
// but Leeway.
type SetConfig struct {
	_ struct{}

	// Fetch returns the document. Its Body is nil if the document with the
	// validator is still the current one.
	Fetch func(ctx context.Context, want Want) (Document, error)
	// MaxKeys is how many keys a set may have.
	MaxKeys int
	// RefreshInterval is the time until the next fetch, if the server states none.
	RefreshInterval time.Duration
	// UnknownInterval is the shortest time between two fetches that unknown keys
	// cause.
	UnknownInterval time.Duration
	// MaxStale is how long keys serve that cannot be refreshed; negative: without
	// an end. After the end of the context it is RefreshInterval at most.
	MaxStale time.Duration
	// Leeway is how far the issuer's clock and Now may differ; zero: not at all.
	Leeway time.Duration
	// Now is the clock that the times of tokens are compared with.
	Now func() time.Time
	// Report is called after every fetch. It must be safe for concurrent use.
	Report func(Event)
}

// Want qualifies a fetch.
type Want struct {
	Validator string // of the current document; "" if there is none
	NoCache   bool   // a copy that a cache on the way has stored is not enough
}

// Document is the result of a fetch.
type Document struct {
	Body      []byte        // nil: the document that had the validator is still current
	Validator string        // names this document in the next fetch
	MaxAge    time.Duration // of Cache-Control; negative if there is none
	Age       time.Duration // positive if a cache answered: the greatest age of its copy
}

// Event describes a fetch, and the state of the key set after it.
type Event struct {
	Err       error // the fetch failed; nil: it succeeded
	Keys      int   // in the set now
	Skipped   int   // members that are not usable keys
	Private   int   // usable keys with private members, if there were none before
	Changed   bool  // the keys differ from those before
	Recovered bool  // the fetch before had failed
}

// Unavailable is a fault: the keys are not known well enough to judge a token.
type Unavailable struct {
	RetryAfter time.Duration
	Err        error
}

// Error returns the text of the cause.
func (u *Unavailable) Error() string { return "keys unavailable: " + u.Err.Error() }

// Unwrap returns the cause.
func (u *Unavailable) Unwrap() error { return u.Err }

// Validity is how long a verified signature may be relied on.
type Validity struct {
	Until time.Time   // when the key set is too old; zero: never
	Live  func() bool // reports whether the key is still published
}

// Set is the guarded key set of one issuer. It is safe for concurrent use.
//
// A token whose key is known is verified at once, also while a fetch is running. An
// unknown key causes a fetch that all requests share and that belongs to none of
// them: the fetch goes on after the request that caused it has ended. Unknown
// keys cause at most one fetch in an interval, so that forged key names cost the
// issuer little. Within the interval, a token that may be younger than the
// current keys is not refused: its request fails with [Unavailable], and the
// caller must try again.
type Set struct {
	cfg     SetConfig
	keyfunc keyfunc.Keyfunc
	ctx     context.Context // ends the fetches
	state   atomic.Pointer[state]
	gate    atomic.Pointer[Gate]

	mu            sync.Mutex // guards the fields below
	running       *fetchCall
	timer         *time.Timer // calls refresh
	intervalStart time.Time   // when an unknown key last caused a fetch, by cfg.Now
	intervalEnd   time.Time   // when an unknown key may cause the next one, by cfg.Now
	failures      int         // in a row
	lastWasEmpty  bool        // the last fetch failed with errEmpty
}

// state is the result of a successful fetch.
type state struct {
	*snapshot
	fetched   time.Time // when that fetch began, by cfg.Now
	published time.Time // the document is not older: fetched, less its age in a cache
	validator string
	private   bool // keys of it were published with private members
}

// NewSet returns a Set, and starts to fetch its keys. The fetches end with ctx.
func NewSet(ctx context.Context, cfg SetConfig) (*Set, error) {
	s := &Set{cfg: cfg, ctx: ctx}
	if err := s.useKeyfunc(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(maxMaxAge, s.refresh) // the end of the first fetch resets it
	s.startFetch(&fetchCall{})
	context.AfterFunc(ctx, s.stop)
	return s, nil
}

// NewFixedSet returns a key set that does not change and fetches nothing, and the
// Event of reading doc.
func NewFixedSet(doc []byte, maxKeys int) (*Set, Event, error) {
	read, err := parseSet(doc, maxKeys)
	if err != nil {
		return nil, Event{}, err
	}
	if len(read.keys) == 0 {
		return nil, Event{}, errNoUsableKey
	}
	s := &Set{cfg: SetConfig{MaxStale: -1}}
	s.state.Store(&state{snapshot: newSnapshot(read.keys)})
	return s, read.event(), s.useKeyfunc(context.Background())
}

func (s *Set) useKeyfunc(ctx context.Context) (err error) {
	s.keyfunc, err = keyfunc.New(keyfunc.Options{Ctx: ctx, Storage: storage{jwkset.NewMemoryStorage()}})
	return err
}

// storage hands keyfunc the keys that a lookupContext carries. It holds no keys
// itself.
type storage struct{ jwkset.Storage }

// KeyReadAll returns the candidates of the lookupContext that ctx is.
func (storage) KeyReadAll(ctx context.Context) ([]jwkset.JWK, error) {
	l, ok := ctx.Value(lookupKey{}).(*lookupContext)
	if !ok {
		return nil, errors.New("no lookup in the context")
	}
	return l.candidates.jwks, nil
}

type lookupKey struct{}

// lookupContext is a context that carries through keyfunc which keys to try.
type lookupContext struct {
	context.Context
	candidates *candidates
}

// Value returns the lookupContext itself for a lookupKey.
func (l *lookupContext) Value(key any) any {
	if _, ok := key.(lookupKey); ok {
		return l
	}
	return l.Context.Value(key)
}
