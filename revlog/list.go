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

// Config configures how a [List] follows its log. The zero value is usable.
type Config struct {
	_ struct{}

	// MaxLag is how long the list continues without the confirmation that it has everything
	// that is in the log. After that time it cannot tell whether a token is revoked. Default 30
	// s.
	//
	// If the log has lost the entry that the list read last, the list reads again from an older
	// position or from the beginning. That alone does not make the list late: if it was not
	// late before, and if it holds the first entries that it reads again, it has MaxLag once
	// more, from that time, to read to the end. A revocation that another instance makes in
	// between can therefore take up to twice MaxLag.
	MaxLag time.Duration
	// Poll is how long one Read waits for new entries. The list sees a new revocation at once,
	// however long Poll is. Poll limits how old the confirmation may be that there are no new
	// entries. It must be less than half of MaxLag. Default 1 s.
	Poll time.Duration
	// Timeout is how long one Read, beyond Poll, and one Append may take. It must not be more
	// than MaxLag. Default 5 s.
	Timeout time.Duration
	// Report is called with each error of reading the log, with [ErrLost] when entries are
	// missing from the log, and with each error of appending these entries again. It must not
	// block. The list recovers a panic of Report and logs it with [slog.Default]. Default:
	// none.
	Report func(error)
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

const (
	defaultMaxLag  = 30 * time.Second
	defaultPoll    = time.Second
	defaultTimeout = 5 * time.Second
	minBackoff     = 20 * time.Millisecond
	maxBackoff     = time.Second
)

// The reasons why a List cannot tell whether a token is revoked. The error that is returned also
// wraps the error of the log, if there is one.
var (
	// ErrNotReady is returned until the list has caught up with the log for the first time.
	ErrNotReady = errors.New("revlog: the list has not yet caught up with the log")
	// ErrLagging is returned when the list has not caught up for longer than [Config.MaxLag].
	ErrLagging = errors.New("revlog: the list has not caught up with the log for longer than MaxLag")
	// ErrClosed is returned after Close, and after the context of Open has ended.
	ErrClosed = errors.New("revlog: the list is closed")
)

// List is a local replica of a log: an [oauthz.RevocationList] that answers from memory, and an
// [oauthz.Revoker] that writes to the log. It is safe for concurrent use.
type List struct {
	log         Log
	cfg         Config
	revocations oauthz.MemoryRevocations
	cancel      context.CancelFunc
	done        chan struct{} // closed when no goroutine of the list runs any more
	ready       chan struct{} // closed when the list has caught up for the first time
	caughtUpAt  atomic.Pointer[time.Time]
	ended       atomic.Bool

	seed            maphash.Seed // the seed of its marks
	maybeIncomplete atomic.Bool  // whether the log may lack entries that the list holds
	missing         atomic.Int64 // how many entries the log is known to lack

	mu     sync.Mutex
	fault  error // why the log cannot be read; nil if it can
	writes writes
}

var (
	_ oauthz.RevocationList = (*List)(nil)
	_ oauthz.Revoker        = (*List)(nil)
)

// Open returns a list that loads the entries that log retains and then follows log until ctx or
// Close ends that. Open does not wait: until the list has caught up for the first time, it
// cannot tell whether a token is revoked (see [List.Ready]). Open fails only if cfg or log is
// invalid.
func Open(ctx context.Context, log Log, cfg Config) (*List, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(log); err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	l := &List{
		log: log, cfg: cfg, cancel: end, done: make(chan struct{}), ready: make(chan struct{}), seed: maphash.MakeSeed(),
		writes: writes{running: map[uint64]chan struct{}{}, unread: map[uint64]unread{}},
	}
	l.revocations.Now = cfg.Now
	opened := cfg.Now()
	l.caughtUpAt.Store(&opened)
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
		errs = append(errs, errors.New("revlog: config: MaxLag is negative: without a limit, revoked tokens would be accepted for the whole time of an outage"))
		maxLag = defaultMaxLag
	}
	// The result of a Read is valid for the time when it began. A log without new entries is
	// therefore confirmed to have none for a time that is up to two Polls ago.
	if cfg.Poll < 0 || cfg.Poll >= maxLag-cfg.Poll {
		errs = append(errs, errors.New("revlog: config: Poll is negative or not less than half of MaxLag"))
	}
	if cfg.Timeout < 0 || cfg.Timeout > maxLag {
		errs = append(errs, errors.New("revlog: config: Timeout is negative or more than MaxLag"))
	}
	return errors.Join(errs...)
}

// Revoked reports whether t is revoked. A token that is known to be revoked is reported as
// revoked even while the log is unreachable. For any other token Revoked then returns an error,
// once the list is later than [Config.MaxLag].
func (l *List) Revoked(ctx context.Context, t *oauthz.Token) (bool, error) {
	if l.ended.Load() {
		return false, ErrClosed
	}
	err := l.checkAvailable() // before the search: an entry that makes the list current may be the one that revokes t
	if revoked, _ := l.revocations.Revoked(ctx, t); revoked {
		return true, nil
	}
	return false, err
}

// NeverWaits marks the list for the Guard: Revoked never blocks, so the Guard needs no timer
// for it.
func (*List) NeverWaits() {}

// Health returns nil if the list can tell whether a token is revoked and the log has every
// entry that the list holds. Use it for the health check of a server. If the list cannot tell,
// the error wraps [ErrNotReady], [ErrLagging] or [ErrClosed], and the error of the log. If the
// error wraps [ErrLost], the list can tell, and the instance should continue to serve, because
// the running instances restore the log.
func (l *List) Health() error {
	if err := l.checkAvailable(); err != nil {
		return err
	}
	if n := l.missing.Load(); n > 0 {
		return lostError(int(n))
	}
	return nil
}

// checkAvailable returns the reason why the list cannot tell whether a token is revoked, or
// nil.
func (l *List) checkAvailable() error {
	if l.ended.Load() {
		return ErrClosed
	}
	select {
	case <-l.ready:
	default:
		return l.withFault(ErrNotReady)
	}
	if l.Lag() > l.cfg.MaxLag {
		return l.withFault(ErrLagging)
	}
	return nil
}

// withFault returns err with the current error of the log, if there is one.
func (l *List) withFault(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fault == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, l.fault)
}

// Ready blocks until the list has caught up with its log for the first time, or ctx or the list
// ends.
func (l *List) Ready(ctx context.Context) error {
	select {
	case <-l.ready:
		return nil
	case <-l.done:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", l.withFault(ErrNotReady), ctx.Err())
	}
}

// Lag returns how long ago the list last had everything that was in the log, or was opened, or
// began to read entries again that it holds (see [Config.MaxLag]).
func (l *List) Lag() time.Duration { return max(l.cfg.Now().Sub(*l.caughtUpAt.Load()), 0) }

// All returns the revocations of the list that q selects, as [oauthz.MemoryRevocations.All] does.
func (l *List) All(q oauthz.Query) (iter.Seq[oauthz.Revocation], error) { return l.revocations.All(q) }

// Close ends the list. When Close returns, no goroutine of the list runs any more. The log
// stays open, because it belongs to the caller. Close always returns nil.
func (l *List) Close() error {
	l.ended.Store(true)
	l.cancel()
	<-l.done
	return nil
}
