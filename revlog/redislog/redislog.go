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

// Log is a record of revocations in two Redis streams. It is safe for concurrent use. There is
// nothing to close: the client belongs to the caller.
type Log struct {
	client         redis.UniversalClient
	cfg            Config
	keys           []string      // the first stream, and the second stream for entries that expire late
	blockTime      time.Duration // how long one command may block
	replicaTimeout time.Duration // how long replicas may take to have an entry
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

// maxBlockTime is the longest time for which one command blocks. A Read that waits detects
// within it that the entry of its position is missing.
const maxBlockTime = 250 * time.Millisecond

// maxReplicaTimeout is how long replicas may take to have the entries of an Append.
const maxReplicaTimeout = time.Second

// New returns a log that uses client. It sends no command to the server: see [Log.CheckServer].
// The first Append creates the streams.
func New(client redis.UniversalClient, cfg Config) (*Log, error) {
	cfg = cfg.withDefaults()
	errs := cfg.check()
	readTimeout, err := checkClient(client, cfg.Replicas)
	if err = errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	second, _ := secondKey(cfg.Key) // checked above
	l := &Log{client: client, cfg: cfg, keys: []string{cfg.Key, second}, blockTime: maxBlockTime, replicaTimeout: maxReplicaTimeout}
	if readTimeout > 0 {
		l.blockTime = max(min(l.blockTime, readTimeout/2), time.Millisecond)
		l.replicaTimeout = max(min(l.replicaTimeout, readTimeout/2), time.Millisecond)
	}
	return l, nil
}

// Batch returns the most entries that a Read returns: see [revlog.Batcher].
func (l *Log) Batch() int { return l.cfg.Batch }

// pace limits the work of the server when each revocation wakes hundreds of lists. It is short
// enough that a revocation takes less than 50 ms.
const pace = 30 * time.Millisecond

// Pace returns the average time between two Reads while a list is woken without a pause: see
// [revlog.Pacer].
func (l *Log) Pace() time.Duration { return pace }

// CheckServer returns an error if the server is not configured to keep the entries that it
// acknowledges: see the package documentation. Call it when the program starts. It also returns
// an error if CONFIG GET is not allowed.
func (l *Log) CheckServer(ctx context.Context) error {
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
			return fmt.Errorf("redislog: check server: %s: %w", s.name, err)
		}
		if !s.valid(values[s.name]) {
			errs = append(errs, fmt.Errorf("redislog: check server: %s is not %s: %s", s.name, s.want, s.why))
		}
	}
	return errors.Join(errs...)
}

// settings is the configuration that a server must have.
var settings = []struct {
	name, want, why string
	valid           func(string) bool
}{
	{"appendonly", "yes", "a restart loses revocations", func(v string) bool { return v == "yes" }},
	{"appendfsync", "always", "a crash may lose acknowledged revocations", func(v string) bool { return v == "always" }},
	{"maxmemory-policy", "noeviction", "all revocations may be evicted at once", func(v string) bool {
		return v == "noeviction" || strings.HasPrefix(v, "volatile-") // these evict only keys with a time to live
	}},
}

// node returns the client of the server that has the streams.
func (l *Log) node(ctx context.Context) (redis.UniversalClient, error) {
	if c, ok := l.client.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, l.keys[0])
	}
	return l.client, nil
}
