package pglog

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// commitTimeout limits a transaction whose callers have no deadline. Over a connection that
	// broke silently, the transaction would otherwise block all later calls.
	commitTimeout = 10 * time.Second
	// The most entries and bytes of one transaction, unless a single call has more.
	maxCommitEntries = 1_000
	maxCommitBytes   = 1 << 20
)

// call is one Append.
type call struct {
	entries   [][]byte
	expires   []*time.Time
	ctx       context.Context
	commit    *commit       // the transaction that it is part of; nil while it is queued
	abandoned bool          // its caller no longer waits
	done      chan struct{} // closed when err is set
	err       error
}

func (c *call) bytes() (n int) {
	for _, entry := range c.entries {
		n += len(entry)
	}
	return n
}

// commit is one transaction in progress.
type commit struct {
	waiting int // callers that still wait for it
	cancel  context.CancelFunc
}

// commits runs one transaction at a time. All calls that arrive meanwhile share the next
// transaction, because a commit costs a flush of the disk of the server, however many entries
// it has. The goroutine that runs the transactions ends when there is no call left.
type commits struct {
	run func(context.Context, []*call) error

	mu     sync.Mutex
	queue  []*call
	active bool
}

// do adds c to the queue. It returns when c is committed, or when ctx ends.
func (s *commits) do(ctx context.Context, c *call) error {
	c.ctx, c.done = ctx, make(chan struct{})
	s.mu.Lock()
	s.queue = append(s.queue, c)
	if !s.active {
		s.active = true
		go s.work()
	}
	s.mu.Unlock()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		s.abandon(c)
		return ctx.Err()
	}
}

// abandon takes c out of the queue, or cancels its transaction if no other caller waits for it.
func (s *commits) abandon(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.abandoned = true
	if c.commit == nil {
		return
	}
	if c.commit.waiting--; c.commit.waiting == 0 {
		c.commit.cancel()
	}
}

func (s *commits) work() {
	for {
		ctx, cancel, calls := s.next()
		if calls == nil {
			return
		}
		err := s.runRecovered(ctx, calls)
		cancel()
		for _, c := range calls {
			c.err = err
			close(c.done)
		}
	}
}

// runRecovered runs a transaction, and returns a panic of a hook of the pool as an error. In
// this goroutine a panic would end the process.
func (s *commits) runRecovered(ctx context.Context, calls []*call) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic of type %T", v)
		}
	}()
	return s.run(ctx, calls)
}

// next returns the calls of the next transaction, and no calls when the goroutine must end.
func (s *commits) next() (context.Context, context.CancelFunc, []*call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var calls []*call
	entries, bytes, taken := 0, 0, 0
	for _, c := range s.queue {
		if !c.abandoned {
			entries, bytes = entries+len(c.entries), bytes+c.bytes()
			if len(calls) > 0 && (entries > maxCommitEntries || bytes > maxCommitBytes) {
				break
			}
			calls = append(calls, c)
		}
		taken++
	}
	if s.queue = s.queue[taken:]; len(s.queue) == 0 {
		s.queue = nil // frees the calls that were taken
	}
	if len(calls) == 0 {
		s.active = false
		return nil, nil, nil
	}
	// The context has the values of the context of the first caller, for tracers, but not its
	// end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(calls[0].ctx), commitTimeout)
	shared := &commit{waiting: len(calls), cancel: cancel}
	for _, c := range calls {
		c.commit = shared
	}
	return ctx, cancel, calls
}
