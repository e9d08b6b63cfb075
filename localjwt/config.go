package localjwt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/jose"
)

// Config configures an [Introspector]. Issuer and Audience are required; every other
// field may be zero.
type Config struct {
	_ struct{}

	// Issuer is the issuer of the tokens. It is compared exactly with iss (RFC 7519
	// §4.1.1), including a slash at its end. Required.
	Issuer string
	// Audience holds the names of this API. At least one must be in aud (RFC 7519
	// §4.1.3), compared exactly. Required.
	Audience []string
	// JWKSURL is the URL of the key set: https, or http on loopback. Default: the
	// jwks_uri in the metadata of Issuer (RFC 8414 §3.1, then OpenID Connect
	// Discovery §4), which must name exactly Issuer.
	JWKSURL string
	// JWKS is a fixed key set (RFC 7517 §5). With it, nothing is fetched, and JWKSURL
	// must be empty. Members that are not usable keys are skipped; at least one
	// usable key must be left. Default: none.
	JWKS json.RawMessage
	// Algorithms are the alg values accepted, of RS256, RS384, RS512, PS256,
	// PS384, PS512, ES256, ES384, ES512, EdDSA and Ed25519. Default: all of these.
	Algorithms []string
	// RequireATJWT requires the typ at+jwt (RFC 9068 §2.1) and the claims of RFC 9068
	// §2.2. Default: the typ JWT, and no typ, are accepted too, if the token has no
	// mark of another kind of JWT.
	RequireATJWT bool
	// TenantClaim names the claim for Token.Tenant. Its value must be a string.
	// Default: none.
	TenantClaim string
	// Leeway is how far clocks may differ. It is used for exp and nbf, and for iat
	// where iat is compared with the time of a fetch of the keys. Default 60 s, at
	// most [oauthz.MaxLeeway]; negative: none.
	Leeway time.Duration
	// HTTPClient sends the requests. Redirects are never followed; its CheckRedirect
	// is not used. Default: a client with http.DefaultTransport, including the proxy
	// settings of that transport. Each New starts to fetch at once, so a program that
	// starts with many issuers of one server should bound its connections with
	// MaxConnsPerHost of the Transport.
	HTTPClient *http.Client
	// Logger gets a record when the keys cannot be fetched, when they can be fetched
	// again, when they have changed, and when the issuer publishes private keys.
	// Default: slog.Default().
	Logger *slog.Logger
	// Now returns the current time. Default: time.Now.
	Now func() time.Time

	// MaxTokenBytes bounds a token, and MaxHeaderBytes its header after decoding.
	// Both are checked before the token is decoded. Defaults 16 KiB and 8 KiB.
	MaxTokenBytes, MaxHeaderBytes int
	// MaxJWKSBytes and MaxKeys bound a key set. A fetch of a larger set fails.
	// Defaults 1 MiB and 512.
	MaxJWKSBytes, MaxKeys int
	// RefreshInterval is the longest time until the keys are fetched again, if the
	// server does not state a time. The server states one with Cache-Control: max-age,
	// less Age (RFC 9111 §5.2.2.1, §5.1), which is limited to between one minute and
	// one hour. The fetch is at a random time in the second half of the interval.
	// Default 15 min.
	RefreshInterval time.Duration
	// UnknownKeyInterval is the shortest time between two fetches that tokens cause.
	// A token causes a fetch if its key is not known, or if its signature does not
	// verify and the token may be younger than the key of that name. Default 5 s.
	UnknownKeyInterval time.Duration
	// FetchTimeout bounds one fetch, including discovery, and so the time that a
	// request with an unknown key may wait. Default 4 s.
	FetchTimeout time.Duration
	// MaxStale is how long keys serve that cannot be refreshed. After that time,
	// requests are answered with 503. When the context of [New] has ended, it is at
	// most RefreshInterval. Default 24 h, at least RefreshInterval; negative: without
	// an end.
	MaxStale time.Duration
}

const (
	defaultLeeway             = 60 * time.Second
	defaultMaxHeaderBytes     = 8 << 10
	defaultMaxJWKSBytes       = 1 << 20
	defaultMaxKeys            = 512
	defaultRefreshInterval    = 15 * time.Minute
	defaultUnknownKeyInterval = 5 * time.Second
	defaultFetchTimeout       = 4 * time.Second
	defaultMaxStale           = 24 * time.Hour
)

// New returns an Introspector, or an error that joins every mistake in cfg. It does
// not wait for the keys: if the issuer is down, requests are answered with 503 until
// the issuer is up. The fetching of keys ends with ctx. The current keys then serve
// until they are older than RefreshInterval; after that, Ready returns an error and
// requests are answered with 503.
func New(ctx context.Context, cfg Config) (*Introspector, error) {
	if ctx == nil {
		return nil, errors.New("localjwt: the context is nil")
	}
	cfg = cfg.withDefaults()
	keys, read, err := cfg.fixedSet()
	if err := errors.Join(cfg.check(), err); err != nil {
		return nil, err
	}
	reporter(cfg.Logger, cfg.Issuer)(read)
	if keys == nil {
		if keys, err = cfg.remoteSet(ctx); err != nil {
			return nil, err
		}
	}
	return &Introspector{
		issuer:       cfg.Issuer,
		audience:     slices.Clone(cfg.Audience),
		algorithms:   slices.Clone(cfg.Algorithms),
		requireATJWT: cfg.RequireATJWT,
		tenantClaim:  cfg.TenantClaim,
		leeway:       max(cfg.Leeway, 0),
		limits:       jose.Limits{Token: cfg.MaxTokenBytes, Header: cfg.MaxHeaderBytes},
		now:          cfg.Now,
		keys:         keys,
	}, nil
}

func (cfg Config) withDefaults() Config {
	setDefault(&cfg.Leeway, defaultLeeway)
	setDefault(&cfg.MaxTokenBytes, oauthz.MaxTokenBytes)
	setDefault(&cfg.MaxHeaderBytes, defaultMaxHeaderBytes)
	setDefault(&cfg.MaxJWKSBytes, defaultMaxJWKSBytes)
	setDefault(&cfg.MaxKeys, defaultMaxKeys)
	setDefault(&cfg.RefreshInterval, defaultRefreshInterval)
	setDefault(&cfg.UnknownKeyInterval, defaultUnknownKeyInterval)
	setDefault(&cfg.FetchTimeout, defaultFetchTimeout)
	setDefault(&cfg.MaxStale, defaultMaxStale)
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = jose.Algorithms()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (cfg *Config) check() error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("localjwt: config: "+format, args...))
	}
	if cfg.Issuer == "" {
		wrong("Issuer is required")
	}
	if len(cfg.Audience) == 0 {
		wrong("Audience is required: without it, a token for any other API is accepted")
	}
	if slices.Contains(cfg.Audience, "") {
		wrong("Audience holds an empty string")
	}
	if cfg.JWKSURL != "" && cfg.JWKS != nil {
		wrong("JWKSURL and JWKS exclude each other")
	}
	errs = append(errs, cfg.checkSource(), cfg.checkBounds())
	for _, alg := range cfg.Algorithms {
		if !slices.Contains(jose.Algorithms(), alg) {
			wrong("Algorithms: %q is not one of %v", alg, jose.Algorithms())
		}
	}
	return errors.Join(errs...)
}

func (cfg *Config) checkBounds() error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("localjwt: config: "+format, args...))
	}
	if cfg.Leeway > oauthz.MaxLeeway {
		wrong("Leeway: %v is more than %v", cfg.Leeway, oauthz.MaxLeeway)
	}
	if cfg.MaxStale >= 0 && cfg.MaxStale < cfg.RefreshInterval {
		wrong("MaxStale: %v is less than RefreshInterval %v", cfg.MaxStale, cfg.RefreshInterval)
	}
	for _, bound := range []struct {
		name  string
		value int64
	}{
		{"MaxTokenBytes", int64(cfg.MaxTokenBytes)},
		{"MaxHeaderBytes", int64(cfg.MaxHeaderBytes)},
		{"MaxJWKSBytes", int64(cfg.MaxJWKSBytes)},
		{"MaxKeys", int64(cfg.MaxKeys)},
		{"RefreshInterval", int64(cfg.RefreshInterval)},
		{"UnknownKeyInterval", int64(cfg.UnknownKeyInterval)},
		{"FetchTimeout", int64(cfg.FetchTimeout)},
	} {
		if bound.value < 0 {
			wrong("%s is negative", bound.name)
		}
	}
	return errors.Join(errs...)
}

// checkSource checks the URL of the keys or of the metadata.
func (cfg *Config) checkSource() error {
	switch {
	case cfg.JWKS != nil:
		return nil
	case cfg.JWKSURL != "":
		if _, err := fetch.CheckURL(cfg.JWKSURL); err != nil {
			return fmt.Errorf("localjwt: config: JWKSURL: %w", err)
		}
	case cfg.Issuer != "":
		if _, err := jose.WellKnown(cfg.Issuer); err != nil {
			return fmt.Errorf("localjwt: config: Issuer: cannot discover the keys, and there is no JWKSURL: %w", err)
		}
	}
	return nil
}

// fixedSet returns the key set in JWKS, nil if JWKS is nil, and the event of reading
// it.
func (cfg *Config) fixedSet() (*jose.Set, jose.Event, error) {
	if cfg.JWKS == nil {
		return nil, jose.Event{}, nil
	}
	keys, read, err := jose.NewFixedSet(cfg.JWKS, cfg.MaxKeys)
	if err != nil {
		return nil, read, fmt.Errorf("localjwt: config: JWKS: %w", err)
	}
	return keys, read, nil
}

func (cfg *Config) remoteSet(ctx context.Context) (*jose.Set, error) {
	client := fetch.New(fetch.Config{
		HTTPClient: cfg.HTTPClient, MaxBytes: int64(cfg.MaxJWKSBytes), Timeout: cfg.FetchTimeout, Concurrency: 1,
	})
	get := jose.Remote(client, func(ctx context.Context) (string, error) {
		if cfg.JWKSURL != "" {
			return cfg.JWKSURL, nil
		}
		return jose.Discover(ctx, client, cfg.Issuer, "jwks_uri")
	})
	timeout, source := cfg.FetchTimeout, cfg.keySource()
	return jose.NewSet(ctx, jose.SetConfig{
		Fetch: func(ctx context.Context, want jose.Want) (jose.Document, error) {
			ctx, cancel := context.WithTimeout(ctx, timeout) // of discovery and key set together
			defer cancel()
			doc, err := get(ctx, want)
			if err != nil {
				err = fmt.Errorf("%s: %w", source, err)
			}
			return doc, err
		},
		MaxKeys: cfg.MaxKeys, RefreshInterval: cfg.RefreshInterval, UnknownInterval: cfg.UnknownKeyInterval,
		MaxStale: cfg.MaxStale, Leeway: max(cfg.Leeway, 0), Now: cfg.Now, Report: reporter(cfg.Logger, cfg.Issuer),
	})
}

// keySource returns a name for the configured source of the keys, for error
// messages. It leaves out the query of JWKSURL, which may hold a secret.
func (cfg *Config) keySource() string {
	if cfg.JWKSURL == "" {
		return "keys discovered from Issuer"
	}
	location, _, _ := strings.Cut(cfg.JWKSURL, "?")
	return "JWKSURL " + location
}

// reporter returns a function that logs failed fetches and changes of the keys.
func reporter(logger *slog.Logger, issuer string) func(jose.Event) {
	log := logger.With("issuer", issuer)
	return func(e jose.Event) {
		switch {
		case e.Err != nil:
			log.Warn("oauthz: cannot fetch the issuer's keys", "error", e.Err)
		case e.Changed || e.Recovered:
			log.Info("oauthz: fetched the issuer's keys", "keys", e.Keys, "changed", e.Changed)
			if e.Skipped > 0 {
				log.Warn("oauthz: the issuer's key set has members that are not usable verification keys", "skipped", e.Skipped)
			}
		}
		if e.Private > 0 {
			log.Warn("oauthz: the issuer's key set holds private keys: every reader of it can sign tokens", "private", e.Private)
		}
	}
}
