package redislog

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/oauthz/oauthz/revlog"
)

// Log is a record of revocations in two Redis streams. It is safe for concurrent
// use. There is nothing to close: the client is the caller's.
type Log struct {
	client redis.UniversalClient
	cfg    Config
	keys   []string      // the stream, and the stream of what is kept apart
	slice  time.Duration // how long one command may block
	acked  time.Duration // how long replicas may take
}

var (
	_ revlog.Batcher = (*Log)(nil)
	_ revlog.Pacer   = (*Log)(nil)
)

var (
	//go:embed append.lua
	appendSource string
	//go:embed check.lua
	checkSource string

	appendScript = redis.NewScript(appendSource)
	checkScript  = redis.NewScript(checkSource)
)

// maxSlice is how long one command blocks. A Read that waits notices within it that
// its position is gone.
const maxSlice = 250 * time.Millisecond

// maxAcked is how long replicas may take to have what was appended.
const maxAcked = time.Second

// New makes a log on client. It does not ask the server anything: see
// [Log.Check]. The streams are made by the first Append.
func New(client redis.UniversalClient, cfg Config) (*Log, error) {
	cfg = cfg.withDefaults()
	errs := cfg.check()
	readTimeout, err := checkClient(client, cfg.Replicas)
	if err = errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	second, _ := apart(cfg.Key) // checked above
	l := &Log{client: client, cfg: cfg, keys: []string{cfg.Key, second}, slice: maxSlice, acked: maxAcked}
	if readTimeout > 0 {
		l.slice = max(min(l.slice, readTimeout/2), time.Millisecond)
		l.acked = max(min(l.acked, readTimeout/2), time.Millisecond)
	}
	return l, nil
}

// Batch is how many entries a Read returns at most: see [revlog.Batcher].
func (l *Log) Batch() int { return l.cfg.Batch }

// pace keeps hundreds of lists from keeping the server busy: each is woken by each
// revocation. It is short enough that a revocation takes less than 50 ms.
const pace = 30 * time.Millisecond

// Pace is how often a list reads at most while it is woken without a pause: see
// [revlog.Pacer].
func (l *Log) Pace() time.Duration { return pace }

// Check asks the server whether it is configured to keep what it acknowledges,
// as the package documentation says, for a program to call when it starts. Where
// the server may not be asked (CONFIG GET is not allowed) that is an error too.
func (l *Log) Check(ctx context.Context) error {
	var errs []error
	for _, s := range settings {
		values, err := bounded(ctx, 0, func(ctx context.Context) (map[string]string, error) {
			node, err := l.node(ctx)
			if err != nil {
				return nil, err
			}
			return node.ConfigGet(ctx, s.name).Result()
		})
		if err != nil {
			return fmt.Errorf("redislog: check: %s: %w", s.name, err)
		}
		if !s.good(values[s.name]) {
			errs = append(errs, fmt.Errorf("redislog: check: %s is not %s: %s", s.name, s.want, s.why))
		}
	}
	return errors.Join(errs...)
}

// settings are what a server must be configured to guarantee.
var settings = []struct {
	name, want, why string
	good            func(string) bool
}{
	{"appendonly", "yes", "a restart loses revocations", func(v string) bool { return v == "yes" }},
	{"appendfsync", "always", "a crash may lose revocations that were acknowledged", func(v string) bool { return v == "always" }},
	{"maxmemory-policy", "noeviction", "all revocations may be evicted at once", func(v string) bool {
		return v == "noeviction" || strings.HasPrefix(v, "volatile-") // which evict only what has a time to live
	}},
}

// node returns the client of the server that has the streams.
func (l *Log) node(ctx context.Context) (redis.UniversalClient, error) {
	if c, ok := l.client.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, l.keys[0])
	}
	return l.client, nil
}
