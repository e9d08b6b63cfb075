package boltlog_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/boltlog"
)

// childFile and childFirst are environment variables that make the test binary a child process.
const (
	childFile  = "BOLTLOG_TEST_FILE"
	childFirst = "BOLTLOG_TEST_FIRST"
)

func TestMain(m *testing.M) {
	path := os.Getenv(childFile)
	if path == "" {
		os.Exit(m.Run())
	}
	if err := appendUntilKilled(path, os.Getenv(childFirst)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// appendUntilKilled is the child process. It appends from several goroutines, and prints the
// number of each entry that was acknowledged.
func appendUntilKilled(path, first string) error {
	go func() { // ends the child when the parent has ended
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	from, err := strconv.Atoi(first)
	if err != nil {
		return err
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: patience})
	if err != nil {
		return err
	}
	log, err := boltlog.New(db, boltlog.Config{})
	if err != nil {
		return err
	}
	var next atomic.Int64
	failed := make(chan error)
	for range 16 {
		go func() {
			for {
				i := from + int(next.Add(1))
				if err := log.Append(context.Background(), numbered(i)); err != nil {
					failed <- err
					return
				}
				_, _ = os.Stdout.WriteString(strconv.Itoa(i) + "\n") // one write, so that the lines of the goroutines do not mix
			}
		}()
	}
	return <-failed
}

// Every acknowledged entry is in the file after kill -9, whenever the process is killed.
func TestAcknowledgedEntriesSurviveKill(t *testing.T) {
	t.Parallel()
	const rounds, each = 5, 2000
	path := fileIn(t)
	var acknowledged []int
	for round := range rounds {
		acknowledged = append(acknowledged, killedAfter(t, path, round*1_000_000, each)...)
	}
	require.GreaterOrEqual(t, len(acknowledged), rounds*each)
	db := openFile(t, path)
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		for err := range tx.Check() {
			t.Error(err)
		}
		return nil
	}))
	log := newLog(t, db, boltlog.Config{})
	for range 3 {
		list := openList(t, log, revlog.Config{})
		for _, i := range acknowledged {
			revoked, err := list.Revoked(t.Context(), token(i))
			require.NoError(t, err)
			require.True(t, revoked, "revocation %d was acknowledged and is missing", i)
		}
	}
	t.Logf("%d acknowledged in %d rounds, %d in the file", len(acknowledged), rounds, countEntries(t, db))
}

func openList(t testing.TB, log revlog.Log, cfg revlog.Config) *revlog.List {
	t.Helper()
	list, err := revlog.Open(t.Context(), log, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, list.Close()) })
	require.NoError(t, list.Ready(t.Context()))
	return list
}

// killedAfter runs a child, kills it when n entries are acknowledged, and returns the numbers
// of all entries that were acknowledged.
func killedAfter(t *testing.T, path string, first, n int) (numbers []int) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childFile+"="+path, childFirst+"="+strconv.Itoa(first))
	child.Stderr = os.Stderr
	_, err := child.StdinPipe() // stays open while this process runs
	require.NoError(t, err)
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	for lines := bufio.NewReader(stdout); ; {
		line, err := lines.ReadString('\n')
		if err != nil { // an incomplete line is discarded; its entry was acknowledged in any case
			break
		}
		i, err := strconv.Atoi(strings.TrimSuffix(line, "\n"))
		require.NoError(t, err)
		if numbers = append(numbers, i); len(numbers) == n {
			require.NoError(t, child.Process.Kill())
		}
	}
	var killed *exec.ExitError
	require.True(t, errors.As(child.Wait(), &killed), "the child ended before it was killed")
	require.Equal(t, -1, killed.ExitCode(), "the child was not killed")
	return numbers
}

// Several lists and writers use one log: every list has all entries.
func TestConcurrentListsSeeAllEntries(t *testing.T) {
	t.Parallel()
	const lists, each = 4, 100
	log := newLog(t, openFile(t, fileIn(t)), boltlog.Config{})
	var all []*revlog.List
	for range lists {
		all = append(all, openList(t, log, revlog.Config{}))
	}
	var wg sync.WaitGroup
	for w, list := range all {
		wg.Go(func() {
			for i := range each {
				assert.NoError(t, list.Revoke(t.Context(), numbered(w*each+i)))
			}
		})
	}
	wg.Wait()
	for _, list := range all {
		for i := range lists * each {
			awaitRevoked(t, list, i)
		}
		require.NoError(t, list.Health())
	}
}
