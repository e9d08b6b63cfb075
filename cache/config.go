package cache

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/oauthz/oauthz"
)

// Config configures a [Cache]. The zero value is valid.
type Config struct {
	_ struct{}

	// MaxTokens is the largest number of remembered tokens. Default 100,000.
	MaxTokens int
	// MaxBytes is the largest number of bytes that the remembered tokens take on
	// the heap, within 20 % (see [oauthz.Token.Size]). Each token counts as at least
	// MaxBytes/MaxTokens bytes. Refusals do not count. Default 64 MiB.
	MaxBytes int64
	// TTL is how long an accepted token is remembered, unless the token expires
	// earlier. Default 1 min.
	TTL time.Duration
	// NegativeTTL is how long a refusal is remembered. Default 5 s. Negative:
	// refusals are not remembered.
	NegativeTTL time.Duration
	// StaleIfError is how long after the end of its TTL an accepted token may still
	// be served while the introspector returns faults, unless the token expires
	// earlier. It is never served after a refusal. The Source of the Decision
	// reports a stale token. Default: off.
	StaleIfError time.Duration
	// RefreshAhead is how long before the end of its TTL an entry is refreshed in
	// the background when it is used, so that requests with busy tokens never wait.
	// It must be less than TTL. Default: off.
	RefreshAhead time.Duration
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

const (
	defaultMaxTokens   = 100_000
	defaultMaxBytes    = 64 << 20
	defaultTTL         = time.Minute
	defaultNegativeTTL = 5 * time.Second
)

func check(next oauthz.Introspector, cfg *Config) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("cache: config: "+format, args...)) }
	switch v := reflect.ValueOf(next); {
	case next == nil, (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil():
		wrong("the introspector is nil")
	case !oauthz.Cacheable(next):
		wrong("the introspector contains CheckRevoked, which must run on every request: put CheckRevoked around the cache")
	}
	if cfg.MaxTokens < 0 || cfg.MaxBytes < 0 {
		wrong("MaxTokens or MaxBytes is negative")
	}
	if cfg.TTL < 0 {
		wrong("TTL is negative: without a TTL, do not use a cache")
	}
	if ttl := cfg.withDefaults().TTL; cfg.RefreshAhead > 0 && cfg.RefreshAhead >= ttl {
		wrong("RefreshAhead: %v is not less than TTL %v", cfg.RefreshAhead, ttl)
	}
	return errors.Join(errs...)
}

func (cfg Config) withDefaults() Config {
	if cfg.MaxTokens == 0 {
		cfg.MaxTokens = defaultMaxTokens
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = defaultMaxBytes
	}
	if cfg.TTL == 0 {
		cfg.TTL = defaultTTL
	}
	if cfg.NegativeTTL == 0 {
		cfg.NegativeTTL = defaultNegativeTTL
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}
