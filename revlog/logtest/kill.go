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

// token returns the token that the i-th revocation matches.
func token(i int) *oauthz.Token {
	return &oauthz.Token{Issuer: issuer, ID: fmt.Sprintf("%08d", i)}
}

// open opens a list and waits until it has caught up.
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

// awaitRevoked waits until the list reports the tokens as revoked.
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

// testKill: a store is killed while three instances write to it. Every entry that was acknowledged
// before the kill, during the outage or after the restart is on each of the instances, and on one
// that starts afterwards.
func testKill(t *testing.T, store Store) {
	if store.Kill == nil {
		t.Skip("the store runs in this process: its log has a test of its own")
	}
	const total = 10_000
	var lists []*revlog.List
	for range 3 {
		lists = append(lists, open(t, store.Open(t)))
	}
	if refused := revokeDuringKill(t, store, lists, total); refused == 0 {
		t.Error("no Revoke failed although the store was killed")
	} else {
		t.Logf("%d revocations acknowledged, after %d errors", total, refused)
	}
	all := make([]int, total)
	for i := range all {
		all[i] = i
	}
	for _, list := range append(lists, open(t, store.Open(t))) {
		awaitRevoked(t, list, all...)
		must(t, "health", list.Health())
	}
}

// revokeDuringKill writes total entries through lists, repeats those that are not acknowledged, and
// kills and starts the store when a third of them is acknowledged. It returns the number of errors.
func revokeDuringKill(t *testing.T, store Store, lists []*revlog.List, total int) (errs int64) {
	const writers = 16
	var next, acknowledged, refused atomic.Int64
	kill, finished := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for w := range writers {
		list := lists[w%len(lists)]
		wg.Go(func() {
			for i := int(next.Add(1) - 1); i < total && !t.Failed(); i = int(next.Add(1) - 1) {
				refused.Add(int64(revokeUntilAcknowledged(t, list, i)))
				if acknowledged.Add(1) == int64(total/3) {
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
	case <-finished: // before the kill: the test has failed
	}
	<-finished
	return refused.Load()
}

// revokeUntilAcknowledged calls Revoke until it succeeds, and returns the number of errors.
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
