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

// Config says which tokens are accepted. Audience is required; all else may be
// zero.
type Config struct {
	_ struct{}

	// Audience is what this API is called: at least one must be in a token's aud,
	// compared exactly. Required, unless InsecureAnyAudience.
	Audience []string
	// InsecureAnyAudience accepts tokens for any API. A token that another API was
	// given is then good for this one. Default: Audience is required.
	InsecureAnyAudience bool
	// Options is what Introspect asks for. Default: none are sent, which means an
	// answer with roles.
	Options *IntrospectOptions
	// BearerToken is asked for an API token for each Create and List, the two
	// operations that need one; it may keep and refresh it. Default: these two fail
	// before anything is sent.
	BearerToken func(ctx context.Context) (oauthz.Secret, error)
	// BaseURL is where Agilicus is: https, or http on loopback. It is also the
	// Issuer of tokens. Default Production.
	BaseURL string
	// Revoker is told of the token that Revoke revokes, before Agilicus is asked
	// and whatever it answers: a Guard that has the same list in its Revocations
	// then refuses the token at once, whatever a cache remembers. Default: none, and
	// the token is accepted until the end of the cache's TTL.
	Revoker oauthz.Revoker
	// MaxTokenLifetime is the longest that a token lives. What Revoker is told is
	// kept that long; with less than the truth, a token that Agilicus failed to
	// revoke is accepted again. Default: for ever, for Agilicus documents no bound,
	// and has tokens that do not expire.
	MaxTokenLifetime time.Duration
	// HTTPClient dials. Redirects are not followed, whatever it says. Default: one
	// with http.DefaultTransport.
	HTTPClient *http.Client
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Client asks Agilicus. It is an [oauthz.Introspector], and safe for concurrent
// use.
type Client struct {
	introspector *remote.Introspector
	api          *api
}

// New makes a Client, or says everything that is wrong with cfg. It does not
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
	// With an Endpoint it starts nothing that a context would have to end.
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

// issuer is that of all tokens.
func (cfg *Config) issuer() string { return strings.TrimRight(cfg.BaseURL, "/") }

func (cfg *Config) recorder() *providers.Recorder {
	return &providers.Recorder{Vendor: "agilicus", Issuer: cfg.issuer(), Revoker: cfg.Revoker, Now: cfg.Now}
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

// Introspect asks Agilicus about token. What is no JWT by its form is
// [oauthz.ErrUnrecognized], and is not sent.
func (c *Client) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	return c.introspector.Introspect(ctx, token)
}

// isJWT keeps from Agilicus what it cannot have issued: it is three parts of
// base64url (RFC 7519 §3), whatever is in them.
func isJWT(s string) bool {
	if len(s) > oauthz.MaxTokenBytes {
		return false
	}
	parts := strings.SplitN(s, ".", 4)
	return len(parts) == 3 && !slices.ContainsFunc(parts, func(part string) bool {
		return part == "" || strings.ContainsFunc(part, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_'
		})
	})
}
