package logtest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

// token is the one that the i-th revocation matches.
func token(i int) *oauthz.Token {
	return &oauthz.Token{Issuer: issuer, ID: fmt.Sprintf("%08d", i)}
}

// open opens a list that has caught up.
func open(t testing.TB, log revlog.Log) *revlog.List {
	t.Helper()
	list, err := revlog.Open(t.Context(), log, revlog.Config{
		Report: func(err error) { t.Log(err) }, Poll: 100 * time.Millisecond, Timeout: 2 * time.Second,
	})
	must(t, "open", err)
	t.Cleanup(func() { _ = list.Close() }) // never fails
	must(t, "ready", list.Ready(t.Context()))
	return list
}

// awaitRevoked waits until the list refuses the tokens.
func awaitRevoked(t testing.TB, list *revlog.List, numbers ...int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for _, i := range numbers {
		for {
			revoked, err := list.Revoked(t.Context(), token(i))
			if revoked {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("revocation %d is missing (%v)", i, err)
			}
			<-tick.C
		}
	}
}

// testKill: of what was acknowledged before the store was killed, while it was away and after it was back, nothing is missing on
// any of three instances, nor on one that starts afterwards.
func testKill(t *testing.T, store Store) {
	if store.Kill == nil {
		t.Skip("the store lives in this process: its log has a test of its own")
	}
	const total, writers = 10_000, 16
	var lists []*revlog.List
	for range 3 {
		lists = append(lists, open(t, store.Open(t)))
	}
	var next, acknowledged, refused atomic.Int64
	kill, finished := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for w := range writers {
		list := lists[w%len(lists)]
		wg.Go(func() {
			for i := int(next.Add(1) - 1); i < total && !t.Failed(); i = int(next.Add(1) - 1) {
				refused.Add(int64(revokeUntilAcknowledged(t, list, i)))
				if acknowledged.Add(1) == total/3 {
					close(kill)
				}
			}
		})
	}
	go func() {
		wg.Wait()
		close(finished)
	}()
	select {
	case <-kill:
		store.Kill(t)
		store.Start(t)
	case <-finished: // too early: it has failed
	}
	<-finished
	if refused.Load() == 0 {
		t.Error("nobody noticed that the store was killed")
	}
	all := make([]int, total)
	for i := range all {
		all[i] = i
	}
	for _, list := range append(lists, open(t, store.Open(t))) {
		awaitRevoked(t, list, all...)
		must(t, "health", list.Health())
	}
	t.Logf("%d acknowledged, %d reported as errors and tried again", acknowledged.Load(), refused.Load())
}

// revokeUntilAcknowledged tries until there is no error, and returns how often there was one.
func revokeUntilAcknowledged(t *testing.T, list *revlog.List, i int) (errs int) {
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for deadline := time.Now().Add(patience); ; errs++ {
		err := list.Revoke(t.Context(), numbered(i))
		if err == nil {
			return errs
		}
		if time.Now().After(deadline) || errors.Is(err, revlog.ErrClosed) {
			t.Errorf("revoke: %v", err)
			return errs
		}
		<-pause.C
	}
}
