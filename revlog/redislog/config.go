package redislog

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Config says where a [Log] is and how long it retains. The zero value is usable.
// The instances that share a log must agree on Key; in the rest they may differ.
type Config struct {
	_ struct{}

	// Key is the key of the stream. What is kept apart is in a second stream,
	// whose key is made from it so that both are in one slot of a Redis Cluster:
	// "{key}:apart", or "key:apart" if Key has a hash tag. Default
	// "oauthz:revocations".
	Key string
	// Retention is how long an entry of the stream may still be needed after it
	// was appended. What expires later than that, or never, is kept apart, so that
	// it does not hold up the trimming. Nothing that can still match is ever
	// dropped, also if an instance with another Retention shares the log. Default
	// 30 days.
	Retention time.Duration
	// Batch is how many entries one Read returns at most, 1 to 10,000. Default
	// 1,000.
	Batch int
	// Replicas is how many replicas must have a revocation before Append returns
	// nil (WAIT); if they do not within a second it is an error. This makes it less
	// likely that a failover loses what was acknowledged, and does not rule it
	// out. It needs a *redis.Client or a *redis.ClusterClient. Default 0.
	Replicas int
	// Now is the clock; default time.Now. An entry is dropped when it is over by
	// this clock and by that of Redis.
	Now func() time.Time
}

const (
	defaultKey       = "oauthz:revocations"
	defaultRetention = 30 * 24 * time.Hour
	defaultBatch     = 1000
	maxBatch         = 10_000
	maxKey           = 1024
	maxReplicas      = 100
)

func (cfg Config) withDefaults() Config {
	if cfg.Key == "" {
		cfg.Key = defaultKey
	}
	if cfg.Retention == 0 {
		cfg.Retention = defaultRetention
	}
	if cfg.Batch == 0 {
		cfg.Batch = defaultBatch
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

func (cfg Config) check() []error {
	var errs []error
	if _, err := apart(cfg.Key); err != nil {
		errs = append(errs, err)
	}
	if cfg.Retention < 0 {
		errs = append(errs, errors.New("redislog: config: Retention is negative: to keep everything for ever, let it expire never"))
	}
	if cfg.Batch < 0 || cfg.Batch > maxBatch {
		errs = append(errs, fmt.Errorf("redislog: config: Batch is not 1 to %d", maxBatch))
	}
	if cfg.Replicas < 0 || cfg.Replicas > maxReplicas {
		errs = append(errs, fmt.Errorf("redislog: config: Replicas is not 0 to %d", maxReplicas))
	}
	return errs
}

// apart returns the key of the second stream. A Redis Cluster hashes what is
// between the first { and the next }, if there is something, else the whole key.
func apart(key string) (string, error) {
	if len(key) > maxKey {
		return "", fmt.Errorf("redislog: config: Key is longer than %d bytes", maxKey)
	}
	if !strings.ContainsAny(key, "{}") {
		return "{" + key + "}:apart", nil
	}
	_, rest, _ := strings.Cut(key, "{")
	if tag, _, closed := strings.Cut(rest, "}"); !closed || tag == "" {
		return "", errors.New("redislog: config: Key has a brace, but no hash tag: {…}")
	}
	return key + ":apart", nil
}

// checkClient says what is wrong with a client, and returns how long it waits
// for an answer; 0 if that cannot be told.
func checkClient(client redis.UniversalClient, replicas int) (readTimeout time.Duration, err error) {
	if v := reflect.ValueOf(client); client == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return 0, errors.New("redislog: config: the client is nil")
	}
	switch c := client.(type) {
	case *redis.Client:
		readTimeout = c.Options().ReadTimeout
	case *redis.ClusterClient:
		readTimeout = c.Options().ReadTimeout
		if c.Options().ReadOnly {
			return 0, errors.New("redislog: config: the client reads from replicas, which may be behind")
		}
	case *redis.Ring:
		return 0, errors.New("redislog: config: the client is a Ring, which writes to another server while one is away")
	default:
		if replicas > 0 {
			return 0, fmt.Errorf("redislog: config: Replicas: not with a client of type %T", client)
		}
		return 0, nil
	}
	if readTimeout <= 0 {
		return 0, errors.New("redislog: config: the client has no ReadTimeout: a server that hangs would stop everything")
	}
	return readTimeout, nil
}
