//go:build heavy && linux

package pglog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/pglog"
)

// newServerFor starts a server of its own with so many connections.
func newServerFor(connections int) func() (*server, error) {
	return func() (*server, error) {
		s, err := newServer()
		if err != nil {
			return nil, err
		}
		s.kill()
		s.connections = connections
		return s, s.start()
	}
}

// cpu returns the processor time of the server and of all processes that it has or had.
func (s *server) cpu() time.Duration {
	ticks := processTicks(s.command.Process.Pid, 4)
	for _, pid := range children(s.command.Process.Pid) {
		ticks += processTicks(pid, 2)
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ is 100 on all common architectures
}

// processTicks adds utime, stime and, if n is 4, cutime and cstime: fields 14 to 17 of proc(5).
func processTicks(pid, n int) (ticks int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)) // it may have ended
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	for i := 11; i < 11+n && i < len(fields); i++ {
		t, _ := strconv.Atoi(fields[i]) // always a number
		ticks += t
	}
	return ticks
}

// openLists opens n lists, each with a log and a pool of its own, as separate processes have.
func openLists(t testing.TB, s *server, table string, n int, cfg pglog.Config, listCfg revlog.Config) (lists []*revlog.List) {
	t.Helper()
	cfg.Table = table
	for range n {
		log, err := pglog.New(s.pool(t, "pool_max_conns=1"), cfg)
		must(t, "new", err)
		list, err := revlog.Open(t.Context(), log, listCfg)
		must(t, "open", err)
		t.Cleanup(func() { _ = list.Close() })
		lists = append(lists, list)
	}
	return lists
}

func awaitReady(t testing.TB, lists []*revlog.List) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i, list := range lists {
		must(t, fmt.Sprintf("list %d", i), list.Ready(ctx))
	}
}

// revokeAtRate revokes on lists in turn, and returns how long each revocation took to reach ten
// others.
func revokeAtRate(t testing.TB, lists []*revlog.List, name string, rate int, last time.Duration) []time.Duration {
	t.Helper()
	var mu sync.Mutex
	var took, revoked []time.Duration
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := range int(last.Seconds() * float64(rate)) {
		<-tick.C
		wg.Go(func() {
			id, began := fmt.Sprint(name, i), time.Now()
			if err := lists[i%len(lists)].Revoke(t.Context(), revocation(id)); err != nil {
				t.Errorf("revoke: %v", err)
				return
			}
			recorded := time.Since(began)
			d := awaitOthers(t, lists, id, began)
			mu.Lock()
			defer mu.Unlock()
			took, revoked = append(took, d), append(revoked, recorded)
		})
	}
	wg.Wait()
	slices.Sort(took)
	slices.Sort(revoked)
	t.Logf("%s: Revoke alone: p50 %v, p99 %v", name, quantile(revoked, 0.5), quantile(revoked, 0.99))
	return took
}

func awaitOthers(t testing.TB, lists []*revlog.List, id string, began time.Time) time.Duration {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	token := &oauthz.Token{Issuer: "https://login.example.com", ID: id}
	for range 10 {
		other := lists[rand.N(len(lists))]
		for revoked := false; !revoked; revoked, _ = other.Revoked(t.Context(), token) {
			if <-tick.C; time.Since(began) > patience {
				t.Errorf("%s does not arrive", id)
				return time.Since(began)
			}
		}
	}
	return time.Since(began)
}

func quantile(took []time.Duration, q float64) time.Duration {
	return took[int(q*float64(len(took)-1))].Round(100 * time.Microsecond)
}

func TestHeavyRevocationsForManyLists(t *testing.T) {
	s := requireServer(t, newServerFor(500))
	table := newTable()
	openLog(t, s, table)
	lists := openLists(t, s, table, 200, pglog.Config{}, revlog.Config{})
	awaitReady(t, lists)
	for i, list := range lists { // each list connects to write
		must(t, "revoke", list.Revoke(t.Context(), revocation(fmt.Sprint("warm", i))))
	}
	idle := s.cpu()
	<-time.After(5 * time.Second)
	t.Logf("nothing revoked: %.2f of a core", (s.cpu()-idle).Seconds()/5)

	single := revokeAtRate(t, lists, "single", 2, 20*time.Second)
	t.Logf("2 a second: p50 %v, p99 %v", quantile(single, 0.5), quantile(single, 0.99))

	before, began := s.cpu(), time.Now()
	many := revokeAtRate(t, lists, "many", 100, 20*time.Second)
	cores := (s.cpu() - before).Seconds() / time.Since(began).Seconds()
	t.Logf("100 a second: p50 %v, p99 %v, %.2f of a core", quantile(many, 0.5), quantile(many, 0.99), cores)
	if cores > 1 {
		t.Errorf("the server works %.2f of a core", cores)
	}
	if p99 := quantile(many, 0.99); p99 > 200*time.Millisecond {
		t.Errorf("100 a second: p99 %v", p99)
	}
	// The 200 lists share the processors of this machine; BenchmarkPropagation measures two.
	if p99 := quantile(single, 0.99); p99 > 100*time.Millisecond {
		t.Errorf("2 a second: p99 %v", p99)
	}
}

// appendsPerSecond measures concurrent callers of one log.
func appendsPerSecond(t testing.TB, log revlog.Log, callers int) float64 {
	const last = 5 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), last)
	defer cancel()
	var n atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := log.Append(ctx, revocation("a")); err == nil {
					n.Add(1)
				} else if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("append: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / last.Seconds()
}

func TestHeavyManyCallersShareCommits(t *testing.T) {
	s := requireServer(t, shared)
	log := openLog(t, s, newTable())
	appendsPerSecond(t, log, 1) // warm
	one, eight, many := appendsPerSecond(t, log, 1), appendsPerSecond(t, log, 8), appendsPerSecond(t, log, 64)
	t.Logf("appends a second: %.0f with 1 caller, %.0f with 8, %.0f with 64", one, eight, many)
	if many < 5*one {
		t.Errorf("64 callers are %.1f times as fast as one", many/one)
	}
}

func TestHeavyMoreListsThanConnections(t *testing.T) {
	s := requireServer(t, newServerFor(100))
	table := newTable()
	openLog(t, s, table)
	const poll = 8 * time.Second
	lists := openLists(t, s, table, 200, pglog.Config{PollInterval: poll}, revlog.Config{Poll: poll})
	awaitReady(t, lists)
	before, began := s.cpu(), time.Now()
	took := revokeAtRate(t, lists, "polling", 5, 30*time.Second)
	t.Logf("5 a second: p50 %v, p99 %v, the longest %v; %.2f of a core", quantile(took, 0.5), quantile(took, 0.99), quantile(took, 1),
		(s.cpu()-before).Seconds()/time.Since(began).Seconds())
	for i, list := range lists {
		if err := list.Health(); err != nil {
			t.Errorf("list %d: %v", i, err)
		}
	}
	if longest := quantile(took, 1); longest > 2*poll {
		t.Errorf("one took %v", longest)
	}
}

func TestHeavyReadingAMillion(t *testing.T) {
	s := requireServer(t, newServerFor(100))
	admin, table := s.pool(t), newTable()
	log := logOn(t, admin, table)
	const n = 1_000_000
	rev := revocation("0123456789abcdef0123456789abcdef")
	entry, err := rev.MarshalJSON()
	must(t, "marshal", err)
	run(t, admin, `INSERT INTO `+table+` (id, expires, entry) SELECT n, now() + interval '1 hour', $1 FROM generate_series(1, $2::int) AS n`, entry, n)
	run(t, admin, `CHECKPOINT`)
	before, began := s.cpu(), time.Now()
	read := 0
	for position := ""; ; {
		revs, next, err := log.Read(t.Context(), position, 0)
		must(t, "read", err)
		if read, position = read+len(revs), next; len(revs) < log.Batch() {
			break
		}
	}
	cpu := s.cpu() - before
	t.Logf("%d entries in %v, %v of the server", read, time.Since(began).Round(time.Millisecond), cpu)
	if read != n || cpu > 2*time.Second {
		t.Errorf("%d entries cost the server %v", read, cpu)
	}
}
