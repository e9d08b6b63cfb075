package redislog_test

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/logtest"
	"github.com/oauthz/oauthz/revlog/redislog"
)

// TestMain disables the log of go-redis, which reports failed connections: the tests kill
// servers on purpose.
func TestMain(m *testing.M) {
	logging.Disable()
	os.Exit(m.Run())
}

// outage is how long a server is down. It is longer than the retries of go-redis, so that a
// command that is not acknowledged is an error.
const outage = 2500 * time.Millisecond

func TestConformance(t *testing.T) {
	t.Parallel()
	logtest.Run(t, func(t *testing.T) logtest.Store {
		s := startServer(t)
		return logtest.Store{
			Open: func(t testing.TB) revlog.Log { return s.open(t, redislog.Config{}) },
			Kill: s.kill,
			Start: func(t testing.TB) {
				<-time.After(outage)
				s.start(t)
			},
			Lose: func(t testing.TB, n int) { lose(t, s.client(t), []string{stream, secondKey}, n) },
		}
	})
}

// A cluster of one server has all slots, and refuses a command whose keys are in two slots.
func TestConformanceCluster(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--cluster-enabled", "yes")
	require.NoError(t, s.client(t).ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	s.awaitWrites(t) // a cluster needs time to start
	logtest.Run(t, func(t *testing.T) logtest.Store {
		key := t.Name()
		return logtest.Store{
			Open: func(t testing.TB) revlog.Log {
				client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.addr}})
				t.Cleanup(func() { _ = client.Close() })
				log, err := redislog.New(client, redislog.Config{Key: key})
				require.NoError(t, err)
				return log
			},
			Lose: func(t testing.TB, n int) { lose(t, s.client(t), []string{key, "{" + key + "}:apart"}, n) },
		}
	})
}

// lose removes the newest n entries of two streams, or all entries if n is negative.
func lose(t testing.TB, client *redis.Client, keys []string, n int) {
	t.Helper()
	if n < 0 {
		require.NoError(t, client.Del(t.Context(), keys...).Err())
		return
	}
	type entry struct{ key, id string }
	var entries []entry
	for _, key := range keys {
		for _, m := range client.XRange(t.Context(), key, "-", "+").Val() {
			entries = append(entries, entry{key, m.ID})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int {
		ms, seq, _ := strings.Cut(a.id, "-")
		ms2, seq2, _ := strings.Cut(b.id, "-")
		return cmp.Or(cmp.Compare(len(ms), len(ms2)), cmp.Compare(ms, ms2), cmp.Compare(len(seq), len(seq2)), cmp.Compare(seq, seq2))
	})
	for _, e := range entries[len(entries)-min(n, len(entries)):] {
		require.NoError(t, client.XDel(t.Context(), e.key, e.id).Err())
	}
}
