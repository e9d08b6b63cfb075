package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/oauthz/oauthz"
)

// flights are the calls under way, one for each token.
type flights struct {
	ctx context.Context // ends with the cache

	mu      sync.Mutex
	running map[key]*flight
	wg      sync.WaitGroup
}

// flight is one call for all who want its answer. It belongs to none of them:
// it goes on as long as one of them waits.
type flight struct {
	done   chan struct{}
	token  *oauthz.Token // once done
	err    error
	cancel context.CancelFunc

	waiters   int  // of those who want the answer; under flights.mu
	forgotten bool // under flights.mu
}

var (
	errClosed = errors.New("cache: closed")
	errGoexit = errors.New("cache: the introspector ended its goroutine")
)

// join takes a seat in the flight for k, which it begins if there is none. A
// seat that is never left keeps it going to its end.
func (fs *flights) join(k key, ask func(context.Context, *flight)) *flight {
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
	f.err = errGoexit // should ask end the goroutine
	fs.wg.Go(func() {
		defer f.cancel()
		defer func() {
			fs.mu.Lock()
			defer fs.mu.Unlock()
			fs.remove(k, f)
			close(f.done)
		}()
		defer f.recoverPanic()
		ask(ctx, f)
	})
	return f
}

// recovered makes a panic the answer. Nobody else could: the goroutine is ours.
func (f *flight) recoverPanic() {
	if v := recover(); v != nil {
		f.token, f.err = nil, &oauthz.Error{
			Status: 500, Code: "server_error", Err: fmt.Errorf("cache: panic in the introspector: %T", v),
		}
	}
}

// leave gives up a seat. When the last one goes before the answer is there,
// nobody wants it any more: the call ends, whatever it still brings is not
// remembered, and who comes next begins another.
func (fs *flights) leave(k key, f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		f.forgotten = true
		fs.remove(k, f)
		f.cancel()
	}
}

// drop takes f off the list, if it is still on it. fs.mu is held.
func (fs *flights) remove(k key, f *flight) {
	if fs.running[k] == f {
		delete(fs.running, k)
	}
}

// store remembers an answer, unless it has been forgotten while it was under way.
func (fs *flights) store(f *flight, remember func()) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if !f.forgotten {
		remember()
	}
}

// forget drops what is held of k, and what is under way for it: who asks later
// must not get an answer from before.
func (fs *flights) forget(k key, drop func()) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.running[k]; f != nil {
		f.forgotten = true
		delete(fs.running, k)
	}
	drop()
}

// forgetAll is forget for all.
func (fs *flights) forgetAll(drop func()) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.running {
		f.forgotten = true
	}
	clear(fs.running)
	drop()
}

// close ends all flights, with their context, and waits until they have ended.
// None begins after it.
func (fs *flights) close(end context.CancelFunc, drop func()) {
	fs.forgetAll(func() {
		end()
		drop()
	})
	fs.wg.Wait()
}
