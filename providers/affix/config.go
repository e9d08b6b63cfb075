package affix

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/remote"
)

// Where the API is.
const (
	Production  = "https://api.affixapi.com"
	Development = "https://dev.api.affixapi.com"
)

// Config says how Affix is asked, and whose tokens are accepted. Only ClientIDs
// is required.
type Config struct {
	_ struct{}

	// BaseURL is where the API is: https, or http on loopback, without a query.
	// It is also the Issuer of all tokens, without a slash at its end. Default
	// [Production].
	BaseURL string
	// ClientIDs are the clients whose tokens are accepted, compared exactly.
	// Tokens of all others are refused. Required, unless InsecureAnyClient.
	ClientIDs []string
	// InsecureAnyClient accepts tokens that were issued to any client. A token
	// that a user gave to another client of Affix is then good for this API.
	InsecureAnyClient bool
	// HTTPClient dials. Redirects are not followed, whatever it says. Default:
	// one with http.DefaultTransport, which also means its proxy settings.
	HTTPClient *http.Client
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Bounds of Inspect.
const (
	maxAnswerBytes = 256 << 10
	timeout        = 10 * time.Second
	concurrency    = 16
)

// Client asks Affix. It is an [oauthz.Introspector], and safe for concurrent use.
type Client struct {
	cfg          Config
	introspector *remote.Introspector
	http         *fetch.Client
}

// New makes a Client, or says everything that is wrong with cfg. It calls nobody.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.ClientIDs = slices.Clone(cfg.ClientIDs)
	c := &Client{cfg: cfg, http: fetch.New(fetch.Config{
		HTTPClient: cfg.HTTPClient, MaxBytes: maxAnswerBytes, Timeout: timeout, Concurrency: concurrency,
	})}
	introspector, err := remote.New(context.Background(), remote.Config{ // with an Endpoint, it starts nothing
		// The tokens were opaque once and are JWSs now: their form tells nothing, and
		// so there is no Recognize.
		Endpoint: cfg.BaseURL + introspectPath, Issuer: cfg.BaseURL, Dialect: dialect{c},
		InsecureAnyAudience: true, // the dialect checks the client
		HTTPClient:          cfg.HTTPClient, Now: cfg.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("affix: config: %w", err)
	}
	c.introspector = introspector
	return c, nil
}

func (cfg Config) withDefaults() Config {
	if cfg.BaseURL == "" {
		cfg.BaseURL = Production
	}
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

func (cfg *Config) check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("affix: config: "+format, args...)) }
	if _, err := fetch.CheckBaseURL(cfg.BaseURL); err != nil {
		wrong("BaseURL: %w", err)
	}
	if len(cfg.ClientIDs) == 0 && !cfg.InsecureAnyClient {
		wrong("ClientIDs is required: without it, a token of any other client is accepted")
	}
	if len(cfg.ClientIDs) > 0 && cfg.InsecureAnyClient {
		wrong("ClientIDs and InsecureAnyClient exclude each other")
	}
	if slices.Contains(cfg.ClientIDs, "") {
		wrong("ClientIDs holds an empty string")
	}
	return errors.Join(errs...)
}

var _ oauthz.Introspector = (*Client)(nil)
