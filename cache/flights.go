package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/oauthz/oauthz"
)

// flights holds the calls in flight, at most one for each token.
type flights struct {
	ctx context.Context // canceled by Close

	mu      sync.Mutex
	running map[key]*flight
	wg      sync.WaitGroup
}

// flight is one call whose answer several requests wait for. It belongs to none of
// them: it continues as long as one request waits.
type flight struct {
	done   chan struct{}
	token  *oauthz.Token // set when done is closed
	err    error
	cancel context.CancelFunc

	waiters   int  // requests that wait for the answer; guarded by flights.mu
	forgotten bool // guarded by flights.mu
}

var (
	errClosed = errors.New("cache: closed")
	errGoexit = errors.New("cache: the introspector ended its goroutine")
)

// join adds a waiter to the flight for k. It starts the flight if none is running. A
// waiter that never leaves keeps the flight running until it ends by itself.
func (fs *flights) join(k key, call func(context.Context, *flight)) *flight {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.running[k]; f != nil {
		f.waiters++
		return f
	}
	f := &flight{done: make(chan struct{}), waiters: 1}
	if fs.ctx.Err() != nil {
		f.err, f.cancel = errClosed, func() {}
		close(f.done)
		return f
	}
	var ctx context.Context
	ctx, f.cancel = context.WithCancel(fs.ctx)
	fs.running[k] = f
	f.err = errGoexit // the answer if call ends its goroutine with runtime.Goexit
	fs.wg.Go(func() {
		defer f.cancel()
		defer func() {
			fs.mu.Lock()
			defer fs.mu.Unlock()
			fs.remove(k, f)
			close(f.done)
		}()
		defer f.recoverPanic()
		call(ctx, f)
	})
	return f
}

// recoverPanic turns a panic into the answer. No caller could recover it, because
// the cache started the goroutine.
func (f *flight) recoverPanic() {
	if v := recover(); v != nil {
		f.token, f.err = nil, &oauthz.Error{
			Status: 500, Code: "server_error", Err: fmt.Errorf("panic in the introspector: %T", v),
		}
	}
}

// leave removes a waiter. If the last waiter leaves before the answer arrives, the
// call is canceled, its answer is not remembered, and the next request starts a new
// flight.
func (fs *flights) leave(k key, f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		f.forgotten = true
		fs.remove(k, f)
		f.cancel()
	}
}

// remove removes f from the running flights, if it is still there. The caller holds fs.mu.
func (fs *flights) remove(k key, f *flight) {
	if fs.running[k] == f {
		delete(fs.running, k)
	}
}

// store calls remember, unless the flight was forgotten while it was running.
func (fs *flights) store(f *flight, remember func()) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if !f.forgotten {
		remember()
	}
}

// forget calls drop to remove the stored answer for k, and forgets the flight for k:
// a later request must not get an answer from before.
func (fs *flights) forget(k key, drop func()) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.running[k]; f != nil {
		f.forgotten = true
		delete(fs.running, k)
	}
	drop()
}

// forgetAll does the same for all tokens.
func (fs *flights) forgetAll(drop func()) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.running {
		f.forgotten = true
	}
	clear(fs.running)
	drop()
}

// close cancels all flights and waits until they have ended. No flight starts after
// close.
func (fs *flights) close(end context.CancelFunc, drop func()) {
	fs.forgetAll(func() {
		end()
		drop()
	})
	fs.wg.Wait()
}
