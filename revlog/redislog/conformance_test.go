package redislog_test

import (
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/logtest"
	"github.com/oauthz/oauthz/revlog/redislog"
)

// go-redis says on stderr that it cannot connect; the tests kill servers on purpose.
func TestMain(m *testing.M) {
	logging.Disable()
	os.Exit(m.Run())
}

// outage is how long a server is away: longer than go-redis tries again, so that what is not acknowledged is an error.
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
		}
	})
}

// A cluster of one server has all its slots, and refuses commands whose keys are in two.
func TestConformanceCluster(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--cluster-enabled", "yes")
	require.NoError(t, s.client(t).ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
	s.awaitWrites(t) // for a cluster takes its time
	logtest.Run(t, func(t *testing.T) logtest.Store {
		return logtest.Store{Open: func(t testing.TB) revlog.Log {
			client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.addr}})
			t.Cleanup(func() { _ = client.Close() })
			log, err := redislog.New(client, redislog.Config{Key: t.Name()})
			require.NoError(t, err)
			return log
		}}
	})
}
