package revlog

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oauthz/oauthz"
)

// Config says how a [List] follows its log. The zero value is usable.
type Config struct {
	_ struct{}

	// MaxLag is how long the list goes on without knowing that it has everything
	// that is in the log; after that it cannot tell whether a token is revoked.
	// Default 30 s.
	//
	// If the log has lost the entry that the list read last, it reads again from an
	// older position, or from the beginning. That does not make it late: if it was
	// not late before and the first entries that it reads are ones that it holds, it
	// has MaxLag once more, from then, to read to the end. A revocation that
	// another instance made in between can so take up to twice MaxLag.
	MaxLag time.Duration
	// Poll is how long one Read waits for more. What is revoked is seen at once,
	// however long it is; it bounds how old the knowledge may be that there is
	// nothing more, and must be less than half of MaxLag. Default 1 s.
	Poll time.Duration
	// Timeout is how long one Read, beyond Poll, and one Append may take. It
	// must not be more than MaxLag. Default 5 s.
	Timeout time.Duration
	// Report is called with each error of reading the log, with [ErrLost] when
	// entries are found missing from it, and with each error of appending these
	// again. It must not block. A panic in it is recovered and logged with
	// [slog.Default]. Default: none.
	Report func(error)
	// Now is the clock; default time.Now.
	Now func() time.Time
}

const (
	defaultMaxLag  = 30 * time.Second
	defaultPoll    = time.Second
	defaultTimeout = 5 * time.Second
	minBackoff     = 20 * time.Millisecond
	maxBackoff     = time.Second
)

// The reasons for which a List cannot tell, beside an error of its log.
var (
	ErrNotReady = errors.New("revlog: the list has not yet caught up with the log")
	ErrLagging  = errors.New("revlog: the list has lost touch with the log for too long")
	ErrClosed   = errors.New("revlog: the list is closed")
)

// List is a local replica of a log: an [oauthz.RevocationList] that answers from
// memory, and an [oauthz.Revoker] that writes to the log. It is safe for
// concurrent use.
type List struct {
	log   Log
	cfg   Config
	held  oauthz.Revocations
	end   context.CancelFunc
	done  chan struct{} // closed when nothing runs any more
	ready chan struct{} // closed when it has caught up once
	fresh atomic.Pointer[time.Time]
	ended atomic.Bool

	seed    maphash.Seed // of its marks
	doubts  atomic.Bool  // whether the log may lack what the list holds
	missing atomic.Int64 // how many entries the log is known to lack

	mu     sync.Mutex
	fault  error // why the log could not be read, until it can
	writes writes
}

var (
	_ oauthz.RevocationList = (*List)(nil)
	_ oauthz.Revoker        = (*List)(nil)
)

// Open makes a list that loads what log retains and then follows it, until ctx
// or Close ends that. It does not wait: until the list has caught up once it
// cannot tell about any token (see [List.Ready]). It fails only for a cfg that is
// wrong.
func Open(ctx context.Context, log Log, cfg Config) (*List, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(log); err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	l := &List{
		log: log, cfg: cfg, end: end, done: make(chan struct{}), ready: make(chan struct{}), seed: maphash.MakeSeed(),
		writes: writes{running: map[uint64]chan struct{}{}, unread: map[uint64]unread{}},
	}
	l.held.Now = cfg.Now
	opened := cfg.Now()
	l.fresh.Store(&opened)
	go l.follow(ctx)
	return l, nil
}

func (cfg Config) withDefaults() Config {
	if cfg.MaxLag == 0 {
		cfg.MaxLag = defaultMaxLag
	}
	if cfg.Poll == 0 {
		cfg.Poll = min(defaultPoll, max(cfg.MaxLag/4, 1))
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = min(defaultTimeout, max(cfg.MaxLag, 1))
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

func (cfg *Config) check(log Log) error {
	var errs []error
	if v := reflect.ValueOf(log); log == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		errs = append(errs, errors.New("revlog: config: the log is nil"))
	}
	maxLag := cfg.MaxLag
	if maxLag < 0 {
		errs = append(errs, errors.New("revlog: config: MaxLag is negative: without a bound, an outage would accept revoked tokens for ever"))
		maxLag = defaultMaxLag
	}
	// What a Read says is true of when it began, so a quiet log is known to be so up to two Polls ago.
	if cfg.Poll < 0 || cfg.Poll >= maxLag-cfg.Poll {
		errs = append(errs, errors.New("revlog: config: Poll is negative, or not less than half of MaxLag"))
	}
	if cfg.Timeout < 0 || cfg.Timeout > maxLag {
		errs = append(errs, errors.New("revlog: config: Timeout is negative, or more than MaxLag"))
	}
	return errors.Join(errs...)
}

// Revoked says whether t is revoked. What is known to be revoked is, also while
// the list has lost touch with its log; for the rest it then cannot tell.
func (l *List) Revoked(ctx context.Context, t *oauthz.Token) (bool, error) {
	if l.ended.Load() {
		return false, ErrClosed
	}
	err := l.cannotTell() // before it looks: what lets it tell meanwhile may be what revokes t
	if revoked, _ := l.held.Revoked(ctx, t); revoked {
		return true, nil
	}
	return false, err
}

// NeverWaits is for the Guard: asking needs no timer.
func (*List) NeverWaits() {}

// Health returns nil if the list can tell whether a token is revoked, and the log
// has all that the list holds: for the health check of a server. An error wraps
// [ErrNotReady], [ErrLagging] or [ErrClosed], and the error of the log: the list
// then cannot tell. Or it wraps [ErrLost]: the list can tell, and should go on to
// serve, for the instances that run are what restores the log.
func (l *List) Health() error {
	if err := l.cannotTell(); err != nil {
		return err
	}
	if n := l.missing.Load(); n > 0 {
		return lost(int(n))
	}
	return nil
}

// cannotTell returns why the list cannot tell whether a token is revoked.
func (l *List) cannotTell() error {
	if l.ended.Load() {
		return ErrClosed
	}
	select {
	case <-l.ready:
	default:
		return l.because(ErrNotReady)
	}
	if l.Lag() > l.cfg.MaxLag {
		return l.because(ErrLagging)
	}
	return nil
}

func (l *List) because(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, l.fault)
}

// Ready waits until the list has caught up with its log once.
func (l *List) Ready(ctx context.Context) error {
	select {
	case <-l.ready:
		return nil
	case <-l.done:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", l.because(ErrNotReady), ctx.Err())
	}
}

// Lag returns how long ago the list last had everything that was in the log, or
// was opened, or began to read again what it holds (see [Config.MaxLag]).
func (l *List) Lag() time.Duration { return max(l.cfg.Now().Sub(*l.fresh.Load()), 0) }

// All returns the revocations that the list holds and q selects, as
// [oauthz.Revocations.All] does.
func (l *List) All(q oauthz.Query) (iter.Seq[oauthz.Revocation], error) { return l.held.All(q) }

// Close ends the list. When it returns, nothing of it runs any more. The log
// stays open, for it is the caller's.
func (l *List) Close() error {
	l.ended.Store(true)
	l.end()
	<-l.done
	return nil
}
