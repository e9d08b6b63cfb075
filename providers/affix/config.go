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
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/remote"
)

// The base URLs of Affix.
const (
	Production  = "https://api.affixapi.com"
	Development = "https://dev.api.affixapi.com"
)

// Config configures a [Client]. Only ClientIDs is required.
type Config struct {
	_ struct{}

	// BaseURL is the base URL of the API: https, or http on loopback, without a
	// query. Without a slash at its end, it is also the Issuer of all tokens. Default
	// [Production].
	BaseURL string
	// ClientIDs are the clients whose tokens are accepted, compared exactly. The
	// tokens of all other clients are refused. Required, unless InsecureAnyClient is
	// set.
	ClientIDs []string
	// InsecureAnyClient accepts tokens that were issued to any client. A token that a
	// user gave to another client of Affix is then accepted by this API.
	InsecureAnyClient bool
	// HTTPClient sends the requests. Redirects are not followed, even if it would
	// follow them. Default: a client with http.DefaultTransport, which also means its
	// proxy settings.
	HTTPClient *http.Client
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// maxConcurrent is how many calls of IntrospectRaw may be in flight.
const maxConcurrent = 16

// Client calls Affix. It is an [oauthz.Introspector], and safe for concurrent use.
type Client struct {
	endpoint     string
	introspector *remote.Introspector
	caller       *providers.Caller
}

// New returns a Client, or an error that joins every mistake in cfg. It does not
// call Affix.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	c := &Client{endpoint: cfg.BaseURL + introspectPath, caller: providers.NewCaller(providers.CallerConfig{
		Vendor: vendor, HTTPClient: cfg.HTTPClient, MaxConcurrent: maxConcurrent, Now: cfg.Now,
	})}
	// With an Endpoint, remote.New starts nothing that a context would have to end.
	// Recognize is not set: the tokens were opaque once and are JWSs now, so that their
	// form does not identify them.
	introspector, err := remote.New(context.Background(), remote.Config{
		Endpoint: c.endpoint, Issuer: cfg.BaseURL, Dialect: dialect{slices.Clone(cfg.ClientIDs), cfg.InsecureAnyClient},
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
