package redislog

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Config configures a [Log]. The zero value is usable. The instances that share a log must have
// the same Key; the other fields may differ.
type Config struct {
	_ struct{}

	// Key is the key of the first stream. Entries that expire late are in a second stream. Its
	// key is made from Key so that both are in one slot of a Redis Cluster: "{key}:apart", or
	// "key:apart" if Key has a hash tag. Default "oauthz:revocations".
	Key string
	// Retention is the longest time after its Append for which an entry of the first stream may
	// be needed. An entry that expires later than that, or never, goes to the second stream,
	// where it does not keep other entries from being deleted. No entry that can still match is
	// ever deleted, even if an instance with another Retention shares the log. Default 30 days.
	Retention time.Duration
	// Batch is the most entries that one Read returns, 1 to 10,000. Default 1,000.
	Batch int
	// Replicas is how many replicas must have a revocation before Append returns nil (WAIT). If
	// they do not have it within a second, Append returns an error. This makes it less likely
	// that a failover loses acknowledged entries, but cannot prevent it. It needs a
	// *redis.Client or a *redis.ClusterClient. Default 0.
	Replicas int
	// Now is the clock. An entry is deleted when it has expired by this clock and by that of
	// Redis. Default time.Now.
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
	if _, err := secondKey(cfg.Key); err != nil {
		errs = append(errs, err)
	}
	if cfg.Retention < 0 {
		errs = append(errs, errors.New("redislog: config: Retention is negative: to keep all entries, append revocations without Expires"))
	}
	if cfg.Batch < 0 || cfg.Batch > maxBatch {
		errs = append(errs, fmt.Errorf("redislog: config: Batch is not in 1 to %d", maxBatch))
	}
	if cfg.Replicas < 0 || cfg.Replicas > maxReplicas {
		errs = append(errs, fmt.Errorf("redislog: config: Replicas is not in 0 to %d", maxReplicas))
	}
	return errs
}

// secondKey returns the key of the second stream. A Redis Cluster hashes the text between the
// first { and the next }, if it is not empty, or else the whole key.
func secondKey(key string) (string, error) {
	if len(key) > maxKey {
		return "", fmt.Errorf("redislog: config: Key is longer than %d bytes", maxKey)
	}
	if !strings.ContainsAny(key, "{}") {
		return "{" + key + "}:apart", nil
	}
	_, rest, _ := strings.Cut(key, "{")
	if tag, _, closed := strings.Cut(rest, "}"); !closed || tag == "" {
		return "", errors.New("redislog: config: Key has a brace but no hash tag of the form {tag}")
	}
	return key + ":apart", nil
}

// checkClient returns an error if a client is not suitable, and otherwise how long the client
// waits for an answer; 0 if that is unknown.
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
			return 0, errors.New("redislog: config: the client reads from replicas, which may lag behind the master")
		}
	case *redis.Ring:
		return 0, errors.New("redislog: config: the client is a Ring, which writes to another server while one is down")
	default:
		if replicas > 0 {
			return 0, fmt.Errorf("redislog: config: Replicas does not work with a client of type %T", client)
		}
		return 0, nil
	}
	if readTimeout <= 0 {
		return 0, errors.New("redislog: config: the client has no ReadTimeout: a server that hangs would block every command")
	}
	return readTimeout, nil
}
