package agilicus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/remote"
)

// Production is the base URL of Agilicus.
const Production = "https://api.agilicus.com"

// Config configures a [Client]. Only Audience is required.
type Config struct {
	_ struct{}

	// Audience holds the names of this API: the aud of a token must contain at least
	// one of them, compared exactly. Required, unless InsecureAnyAudience is set.
	Audience []string
	// InsecureAnyAudience accepts tokens for any API. A token that was sent to another
	// API is then accepted by this one. Default: Audience is required.
	InsecureAnyAudience bool
	// Options are the options of Introspect. Default: none are sent, and the answer
	// has roles.
	Options *IntrospectOptions
	// BearerToken returns an API token. It is called for each Create and List, the two
	// operations that need one; it may keep and refresh the token. Default: these two
	// fail before anything is sent.
	BearerToken func(ctx context.Context) (oauthz.Secret, error)
	// BaseURL is the base URL of the API: https, or http on loopback. Without a slash
	// at its end, it is also the Issuer of all tokens. Default [Production].
	BaseURL string
	// Revoker records the token that Revoke revokes, before Agilicus is called, and
	// even if Agilicus fails. A Guard that has the same list in its RevocationLists then
	// refuses the token at once, even if a cache still holds it. Default: none, and
	// the token is accepted until the end of the cache's TTL.
	Revoker oauthz.Revoker
	// MaxTokenLifetime is the longest lifetime of a token. The record in Revoker
	// expires after it. If it is too short, a token that Agilicus failed to revoke is
	// accepted again. Default: the record never expires, because Agilicus does not
	// document a bound, and has tokens that do not expire.
	MaxTokenLifetime time.Duration
	// HTTPClient sends the requests. Redirects are not followed, even if it would
	// follow them. Default: a client with http.DefaultTransport.
	HTTPClient *http.Client
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Client calls Agilicus. It is an [oauthz.Introspector], and safe for concurrent
// use.
type Client struct {
	introspector *remote.Introspector
	api          *api
}

// New returns a Client, or an error that joins every mistake in cfg. It does not
// call Agilicus.
func New(cfg Config) (*Client, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = Production
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	base, err := cfg.check()
	if err != nil {
		return nil, err
	}
	a := newAPI(base, &cfg)
	// With an Endpoint, remote.New starts nothing that a context would have to end.
	introspector, err := remote.New(context.Background(), remote.Config{
		Endpoint: a.endpoint("introspect"), Audience: cfg.Audience, InsecureAnyAudience: cfg.InsecureAnyAudience,
		Dialect:   dialect{issuer: cfg.issuer(), options: cfg.Options.clone()},
		Recognize: isJWT, HTTPClient: cfg.HTTPClient, Now: cfg.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("agilicus: config: %w", err)
	}
	return &Client{introspector: introspector, api: a}, nil
}

// issuer returns the Issuer of all tokens.
func (cfg *Config) issuer() string { return strings.TrimRight(cfg.BaseURL, "/") }

func (cfg *Config) recorder() *providers.Recorder {
	return &providers.Recorder{Vendor: vendor, Issuer: cfg.issuer(), Revoker: cfg.Revoker, Now: cfg.Now}
}

func (cfg *Config) check() (*url.URL, error) {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("agilicus: config: "+format, args...))
	}
	base, err := fetch.CheckBaseURL(cfg.BaseURL)
	if err != nil {
		wrong("BaseURL: %w", err)
	}
	if len(cfg.Audience) == 0 && !cfg.InsecureAnyAudience {
		wrong("Audience is required: without it, a token for any other API is accepted")
	}
	if len(cfg.Audience) > 0 && cfg.InsecureAnyAudience {
		wrong("Audience and InsecureAnyAudience exclude each other")
	}
	if slices.Contains(cfg.Audience, "") {
		wrong("Audience holds an empty string")
	}
	if err := cfg.recorder().Check(); err != nil {
		wrong("Revoker %w", err)
	}
	if cfg.MaxTokenLifetime < 0 {
		wrong("MaxTokenLifetime is negative")
	}
	if cfg.MaxTokenLifetime != 0 && cfg.Revoker == nil {
		wrong("MaxTokenLifetime without Revoker")
	}
	return base, errors.Join(errs...)
}

var _ oauthz.Introspector = (*Client)(nil)
