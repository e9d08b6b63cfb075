package redislog_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/revlog/redislog"
)

// unconnected returns a client that is never connected.
func unconnected(t *testing.T, options redis.Options) redis.UniversalClient {
	t.Helper()
	options.Addr = "127.0.0.1:1"
	client := redis.NewClient(&options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestNewReportsEveryMistake(t *testing.T) {
	t.Parallel()
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"one": "127.0.0.1:1"}})
	t.Cleanup(func() { _ = ring.Close() })
	replicas := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, RouteRandomly: true})
	t.Cleanup(func() { _ = replicas.Close() })
	good := unconnected(t, redis.Options{})
	for _, tt := range []struct {
		name   string
		client redis.UniversalClient
		cfg    redislog.Config
		want   []string
	}{
		{name: "the zero value", client: good},
		{name: "everything", client: good, cfg: redislog.Config{Key: "{a}b", Retention: time.Hour, Batch: 10_000, Replicas: 2}},
		{name: "no client", want: []string{"client is nil"}},
		{name: "a nil client", client: (*redis.Client)(nil), want: []string{"client is nil"}},
		{name: "a ring", client: ring, want: []string{"Ring"}},
		{name: "reads from replicas", client: replicas, want: []string{"replicas"}},
		{name: "waits without a limit", client: unconnected(t, redis.Options{ReadTimeout: -1}), want: []string{"ReadTimeout"}},
		{name: "has no deadlines", client: unconnected(t, redis.Options{ReadTimeout: -2}), want: []string{"ReadTimeout"}},
		{name: "replicas with an unknown client", client: wrapped{good}, cfg: redislog.Config{Replicas: 1}, want: []string{"Replicas"}},
		{name: "wrapped", client: wrapped{good}},
		{name: "an open brace", client: good, cfg: redislog.Config{Key: "a{b"}, want: []string{"Key"}},
		{name: "a closed brace", client: good, cfg: redislog.Config{Key: "a}b"}, want: []string{"Key"}},
		{name: "an empty tag", client: good, cfg: redislog.Config{Key: "{}a{b}"}, want: []string{"Key"}},
		{name: "a long key", client: good, cfg: redislog.Config{Key: strings.Repeat("k", 1025)}, want: []string{"Key"}},
		{name: "a large batch", client: good, cfg: redislog.Config{Batch: 10_001}, want: []string{"Batch"}},
		{
			name: "all at once", cfg: redislog.Config{Key: "{", Retention: -1, Batch: -1, Replicas: -1},
			want: []string{"Key", "Retention", "Batch", "Replicas", "client is nil"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantNew(t, tt.client, tt.cfg, tt.want)
		})
	}
}

// wantNew makes a log, and compares the lines of the error; nil means that New succeeds.
func wantNew(t *testing.T, client redis.UniversalClient, cfg redislog.Config, mistakes []string) {
	t.Helper()
	log, err := redislog.New(client, cfg)
	if mistakes == nil {
		require.NoError(t, err)
		assert.NotNil(t, log)
		return
	}
	require.Error(t, err)
	assert.Nil(t, log)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, len(mistakes))
	for i, want := range mistakes {
		assert.True(t, strings.HasPrefix(lines[i], "redislog: config: "), lines[i])
		assert.Contains(t, lines[i], want)
	}
}

// wrapped is a client of an unknown type.
type wrapped struct{ redis.UniversalClient }
