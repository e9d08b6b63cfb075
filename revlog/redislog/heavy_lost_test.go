//go:build heavy

package redislog_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/redislog"
)

// fleet is five lists whose clients connect to the server that is the master.
type fleet struct {
	master   atomic.Pointer[server]
	lists    []*revlog.List
	reported [5]atomic.Int64
}

func (f *fleet) open(t testing.TB, report func(error)) *revlog.List {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: "master", Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, f.master.Load().addr)
	}})
	t.Cleanup(func() { _ = client.Close() })
	log, err := redislog.New(client, redislog.Config{})
	require.NoError(t, err)
	list, err := revlog.Open(t.Context(), log, revlog.Config{Report: report})
	require.NoError(t, err)
	t.Cleanup(func() { _ = list.Close() })
	require.NoError(t, list.Ready(t.Context()))
	return list
}

// Acknowledged entries are lost in several ways while others are written. Each list reports the
// loss, and in the end each of them, and one that is opened afterwards, has all entries.
func TestHeavyAcknowledgedEntriesAreRestored(t *testing.T) {
	for _, tt := range []struct {
		name string
		save func(t *testing.T, f *fleet) (restore func())
	}{
		{"FLUSHALL", func(t *testing.T, f *fleet) func() {
			return func() { require.NoError(t, f.master.Load().client(t).FlushAll(t.Context()).Err()) }
		}},
		{"DEL", func(t *testing.T, f *fleet) func() {
			return func() { require.NoError(t, f.master.Load().client(t).Del(t.Context(), stream, secondKey).Err()) }
		}},
		{"eviction", func(t *testing.T, f *fleet) func() { return func() { evict(t, f.master.Load()) } }},
		{"an older copy of the files", olderFiles},
		{"a file that is cut off", func(t *testing.T, f *fleet) func() { return func() { cutFile(t, f.master.Load()) } }},
		{"a failover to a replica that is behind", failover},
	} {
		t.Run(tt.name, func(t *testing.T) { testRestored(t, tt.save) })
	}
}

func testRestored(t *testing.T, save func(*testing.T, *fleet) func()) {
	const total = 1500
	f := &fleet{}
	f.master.Store(startServer(t))
	for i := range f.reported {
		f.lists = append(f.lists, f.open(t, func(err error) {
			if errors.Is(err, revlog.ErrLost) {
				f.reported[i].Add(1)
			}
		}))
	}
	f.revoke(t, 0, total/3)
	lose := save(t, f)
	f.revoke(t, total/3, 2*total/3)
	var wg sync.WaitGroup
	wg.Go(func() { f.revoke(t, 2*total/3, total) })
	lose()
	wg.Wait()
	began := time.Now()
	for i, list := range f.lists {
		await(t, func() bool { return f.reported[i].Load() > 0 })
		await(t, func() bool { return list.Health() == nil })
	}
	took := time.Since(began)
	for _, list := range append(f.lists, f.open(t, nil)) {
		for i := range total {
			revoked, err := list.Revoked(t.Context(), &oauthz.Token{Issuer: issuer, ID: strconv.Itoa(i)})
			require.NoError(t, err)
			require.True(t, revoked, i)
		}
	}
	client := f.master.Load().client(t)
	entries := client.XLen(t.Context(), stream).Val() + client.XLen(t.Context(), secondKey).Val()
	t.Logf("%d acknowledged; ErrLost reported %d, %d, %d, %d, %d times; repaired within %v; the log has %d entries", total,
		f.reported[0].Load(), f.reported[1].Load(), f.reported[2].Load(), f.reported[3].Load(), f.reported[4].Load(), took, entries)
	assert.LessOrEqual(t, entries, int64(total*4/3))
}

// revoke revokes tokens, and repeats each Revoke until it is acknowledged.
func (f *fleet) revoke(t *testing.T, from, to int) {
	var next atomic.Int64
	next.Store(int64(from))
	var wg sync.WaitGroup
	for w := range 10 {
		wg.Go(func() {
			for i := int(next.Add(1) - 1); i < to; i = int(next.Add(1) - 1) {
				life := time.Hour
				if i%7 == 0 {
					life = 0 // in the second stream
				}
				rev := revocation(strconv.Itoa(i), life)
				await(t, func() bool { return f.lists[w%len(f.lists)].Revoke(t.Context(), rev) == nil })
			}
		})
	}
	wg.Wait()
}

func evict(t *testing.T, s *server) {
	client := s.client(t)
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-random").Err())
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "1").Err())
	await(t, func() bool {
		_ = client.Set(t.Context(), "any", 1, 0).Err() // evicts, and fails
		return client.Exists(t.Context(), stream).Val() == 0
	})
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "0").Err())
}

// files returns the folder of the append-only files.
func (s *server) files() string { return filepath.Join(s.dir, "appendonlydir") }

func olderFiles(t *testing.T, f *fleet) func() {
	s := f.master.Load()
	older := t.TempDir()
	require.NoError(t, os.CopyFS(older, os.DirFS(s.files())))
	return func() {
		s.kill(t)
		require.NoError(t, os.RemoveAll(s.files()))
		require.NoError(t, os.CopyFS(s.files(), os.DirFS(older)))
		s.start(t)
	}
}

func cutFile(t *testing.T, s *server) {
	s.kill(t)
	names, err := filepath.Glob(filepath.Join(s.files(), "*.incr.aof"))
	require.NoError(t, err)
	require.Len(t, names, 1)
	info, err := os.Stat(names[0])
	require.NoError(t, err)
	require.NoError(t, os.Truncate(names[0], info.Size()/2))
	s.start(t)
}

func failover(t *testing.T, f *fleet) func() {
	master := f.master.Load()
	host, port, err := net.SplitHostPort(master.addr)
	require.NoError(t, err)
	replica := startServer(t, "--replicaof", host+" "+port)
	client := replica.client(t)
	await(t, func() bool {
		return client.XLen(t.Context(), stream).Val() == master.client(t).XLen(t.Context(), stream).Val()
	})
	require.NoError(t, client.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err()) // it is cut off from the master
	return func() {
		f.master.Store(replica)
		master.kill(t)
	}
}
