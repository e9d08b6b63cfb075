//go:build unix

package pglog_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/pglog"
)

// A log that polls has no connection while it waits, and reads in its interval.
func TestPollingHoldsNoConnection(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	admin, table := s.pool(t), newTable()
	writer := logOn(t, admin, table)
	appendTo(t, writer, "a")
	log, err := pglog.New(s.pool(t, "application_name="+table), pglog.Config{Table: table, PollInterval: 2 * time.Second})
	must(t, "new", err)
	position := wantRest(t, log, "", "a")
	eventually(t, "the log holds a connection", func() bool { return len(backends(t, admin, table)) == 0 })
	began := time.Now()
	read := startRead(t, log, position)
	appendTo(t, writer, "b")
	if got := <-read; len(got) != 1 || time.Since(began) > patience/2 {
		t.Errorf("got %v after %v", got, time.Since(began))
	}
	began = time.Now()
	revs, _, err := log.Read(t.Context(), position, 0)
	if err != nil || len(revs) != 1 || time.Since(began) > time.Second {
		t.Errorf("without a wait: got %v, %v after %v", names(revs), err, time.Since(began))
	}
	appendTo(t, log, "c")
	eventually(t, "an append leaves a connection", func() bool { return len(backends(t, admin, table)) == 0 })
}

// With more lists than the server has connections for them, all lists that poll work.
func TestPollingNeedsFewConnections(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	admin, table := s.pool(t), newTable()
	logOn(t, admin, table)
	pool := poolOfRole(t, s, admin, "writer", table, writerRights)
	run(t, admin, `ALTER ROLE writer_`+table+` CONNECTION LIMIT 2`)
	var lists []*revlog.List
	for range 8 {
		log, err := pglog.New(pool, pglog.Config{Table: table, PollInterval: 200 * time.Millisecond})
		must(t, "new", err)
		list, err := revlog.Open(t.Context(), log, revlog.Config{Poll: 500 * time.Millisecond})
		must(t, "open", err)
		defer list.Close()
		lists = append(lists, list)
	}
	for i, list := range lists {
		must(t, "ready", list.Ready(t.Context()))
		must(t, "revoke", list.Revoke(t.Context(), revocation(fmt.Sprint(i))))
	}
	for i := range lists {
		for _, list := range lists {
			eventually(t, "the revocation does not arrive", func() bool {
				revoked, _ := list.Revoked(t.Context(), &oauthz.Token{Issuer: "https://login.example.com", ID: fmt.Sprint(i)})
				return revoked
			})
			must(t, "health", list.Health())
		}
	}
}

// If the server has no free connection, the error names the remedy.
func TestRunningOutOfConnectionsNamesPolling(t *testing.T) {
	t.Parallel()
	s := requireServer(t, shared)
	admin, table := s.pool(t), newTable()
	logOn(t, admin, table)
	pool := poolOfRole(t, s, admin, "writer", table, writerRights)
	run(t, admin, `ALTER ROLE writer_`+table+` CONNECTION LIMIT 1`)
	listening := newLog(t, pool, table)
	_, _, err := listening.Read(t.Context(), "", 0)
	must(t, "read", err)
	log := newLog(t, pool, table)
	_, _, read := log.Read(t.Context(), "", time.Second)
	for doing, err := range map[string]error{"read": read, "append": log.Append(t.Context(), revocation("a"))} {
		if err == nil || !strings.HasPrefix(err.Error(), "pglog: "+doing+": the server has no free connection") || !strings.Contains(err.Error(), "PollInterval") {
			t.Errorf("%s: got %v", doing, err)
		}
	}
}
