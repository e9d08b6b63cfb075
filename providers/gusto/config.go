package gusto

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/remote"
)

// Where the API is.
const (
	Production = "https://api.gusto.com"
	Demo       = "https://api.gusto-demo.com"
)

// LatestVersion is the newest X-Gusto-API-Version that this package knows.
const LatestVersion = "2026-06-15"

// Config says how Gusto is asked. Only InsecureAnyClient is required.
type Config struct {
	_ struct{}

	// BaseURL is where the API is: https, or http on loopback, without a query.
	// It is also the Issuer of all tokens, without a slash at its end. Default
	// [Production].
	BaseURL string
	// APIVersion is the X-Gusto-API-Version of all requests, YYYY-MM-DD. One that
	// is older than the application's minimum makes everything fail with a 503.
	// Default [LatestVersion].
	APIVersion string
	// ClientID and ClientSecret are the application's, for Revoke and Refresh.
	// Default: none, and those fail. One without the other is a mistake.
	ClientID     string
	ClientSecret oauthz.Secret
	// RedirectURI is sent by Refresh, which need not have it. Default: none.
	RedirectURI string
	// InsecureAnyClient accepts tokens that were issued to any application. It
	// must be set, for Gusto does not say to which one a token was issued: a
	// token that a user gave to another application is then good for this API.
	InsecureAnyClient bool
	// Revoker is told what Revoke and DisconnectAppIntegration revoke, before Gusto
	// is asked and whatever it answers: a Guard that has the same list in its
	// Revocations then refuses it at once, whatever a cache remembers. Default:
	// none, and tokens are accepted until the end of the cache's TTL.
	Revoker oauthz.Revoker
	// HTTPClient dials. Redirects are not followed, whatever it says. Default:
	// one with http.DefaultTransport, which also means its proxy settings.
	HTTPClient *http.Client
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Bounds of an operation that is no introspection.
const (
	maxAnswerBytes = 256 << 10
	timeout        = 10 * time.Second
	concurrency    = 16
)

// Client asks Gusto. It is an [oauthz.Introspector], and safe for concurrent use.
type Client struct {
	cfg          Config        // but for ClientSecret and Revoker
	secret       func() string // which fmt would print, as it does all that is in an unexported field
	recorder     func() *providers.Recorder
	introspector *remote.Introspector
	http         *fetch.Client
}

// New makes a Client, or says everything that is wrong with cfg. It calls nobody.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	secret := string(cfg.ClientSecret)
	recorder := cfg.recorder()
	cfg.ClientSecret, cfg.Revoker = "", nil
	c := &Client{
		cfg: cfg, secret: func() string { return secret }, recorder: func() *providers.Recorder { return recorder },
		http: fetch.New(fetch.Config{
			HTTPClient: cfg.HTTPClient, MaxBytes: maxAnswerBytes, Timeout: timeout, Concurrency: concurrency,
		}),
	}
	introspector, err := remote.New(context.Background(), remote.Config{ // with an Endpoint, it starts nothing
		Endpoint: cfg.BaseURL + tokenInfoPath, Issuer: cfg.BaseURL, Dialect: dialect{c}, Recognize: recognize,
		InsecureAnyAudience: true, HTTPClient: cfg.HTTPClient, Now: cfg.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("gusto: config: %w", err)
	}
	c.introspector = introspector
	return c, nil
}

func (cfg Config) withDefaults() Config {
	if cfg.BaseURL == "" {
		cfg.BaseURL = Production
	}
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	if cfg.APIVersion == "" {
		cfg.APIVersion = LatestVersion
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

// recorder has the Issuer that the introspector has.
func (cfg *Config) recorder() *providers.Recorder {
	return &providers.Recorder{Vendor: "gusto", Issuer: cfg.BaseURL, Revoker: cfg.Revoker, Now: cfg.Now}
}

func (cfg *Config) check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("gusto: config: "+format, args...)) }
	if _, err := fetch.CheckBaseURL(cfg.BaseURL); err != nil {
		wrong("BaseURL: %w", err)
	}
	if _, err := time.Parse(time.DateOnly, cfg.APIVersion); err != nil {
		wrong("APIVersion: want YYYY-MM-DD")
	}
	if (cfg.ClientID == "") != (cfg.ClientSecret == "") {
		wrong("ClientID and ClientSecret: one without the other")
	}
	if cfg.RedirectURI != "" {
		if u, err := url.Parse(cfg.RedirectURI); err != nil || !u.IsAbs() {
			wrong("RedirectURI: not an absolute URI")
		}
	}
	if !cfg.InsecureAnyClient {
		wrong("InsecureAnyClient must be set: Gusto does not say which application a token was issued to, " +
			"so that those of all other applications are accepted too")
	}
	if err := cfg.recorder().Check(); err != nil {
		wrong("Revoker %w", err)
	}
	return errors.Join(errs...)
}

// recognize keeps from Gusto what cannot be a token of its: what is not visible
// ASCII, and a compact JWS, which is somebody else's credential. Its own are
// opaque: base64url of 32 bytes, says the documentation, of which this package
// does not make more than it must.
func recognize(token string) bool {
	return remote.VisibleASCII(token) && strings.Count(token, ".") != 2
}

var _ oauthz.Introspector = (*Client)(nil)
