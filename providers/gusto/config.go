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

// The base URLs of Gusto.
const (
	Production = "https://api.gusto.com"
	Demo       = "https://api.gusto-demo.com"
)

// LatestVersion is the newest X-Gusto-API-Version that this package supports.
const LatestVersion = "2026-06-15"

// Config configures a [Client]. Only InsecureAnyClient is required.
type Config struct {
	_ struct{}

	// BaseURL is the base URL of the API: https, or http on loopback, without a
	// query. Without a slash at its end, it is also the Issuer of all tokens. Default
	// [Production].
	BaseURL string
	// APIVersion is the X-Gusto-API-Version of all requests, YYYY-MM-DD. With a
	// version older than the application's minimum, every introspection ends in a
	// 503. Default [LatestVersion].
	APIVersion string
	// ClientID and ClientSecret are the credentials of the application, for Revoke
	// and Refresh. Default: none, and these two fail. One without the other is a
	// mistake.
	ClientID     string
	ClientSecret oauthz.Secret
	// RedirectURI is sent by Refresh, which does not need it. Default: none.
	RedirectURI string
	// InsecureAnyClient accepts tokens that were issued to any application. It must
	// be set, because Gusto does not name the application that a token was issued to:
	// a token that a user gave to another application is then accepted by this API.
	InsecureAnyClient bool
	// Revoker records the tokens that Revoke and DisconnectAppIntegration revoke,
	// before Gusto is called, and even if Gusto fails. A Guard that has the same list
	// in its RevocationLists then refuses these tokens at once, even if a cache still
	// holds them. Default: none, and they are accepted until the end of the cache's
	// TTL.
	Revoker oauthz.Revoker
	// HTTPClient sends the requests. Redirects are not followed, even if it would
	// follow them. Default: a client with http.DefaultTransport, which also means its
	// proxy settings.
	HTTPClient *http.Client
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// maxConcurrent is how many operations other than Introspect may be in flight.
const maxConcurrent = 16

// Client calls Gusto. It is an [oauthz.Introspector], and safe for concurrent use.
type Client struct {
	cfg          Config        // without ClientSecret and Revoker
	secret       func() string // a function, because fmt prints the values of unexported fields
	recorder     func() *providers.Recorder
	introspector *remote.Introspector
	caller       *providers.Caller
}

// New returns a Client, or an error that joins every mistake in cfg. It does not
// call Gusto.
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
		caller: providers.NewCaller(providers.CallerConfig{
			Vendor: vendor, HTTPClient: cfg.HTTPClient, MaxConcurrent: maxConcurrent, Now: cfg.Now,
		}),
	}
	// With an Endpoint, remote.New starts nothing that a context would have to end.
	introspector, err := remote.New(context.Background(), remote.Config{
		Endpoint: cfg.BaseURL + tokenInfoPath, Issuer: cfg.BaseURL, Dialect: dialect{c}, Recognize: isGustoToken,
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

// recorder returns a Recorder with the Issuer of the introspector.
func (cfg *Config) recorder() *providers.Recorder {
	return &providers.Recorder{Vendor: vendor, Issuer: cfg.BaseURL, Revoker: cfg.Revoker, Now: cfg.Now}
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
		wrong("InsecureAnyClient must be set: Gusto does not name the application that a token was issued to, " +
			"so that the tokens of all other applications are accepted too")
	}
	if err := cfg.recorder().Check(); err != nil {
		wrong("Revoker %w", err)
	}
	return errors.Join(errs...)
}

// isGustoToken reports whether Gusto can have issued token. It keeps back strings
// that are not visible ASCII, and compact JWSs, which are credentials for another
// server. Gusto's own tokens are opaque: base64url of 32 bytes by the documentation,
// which this package does not rely on.
func isGustoToken(token string) bool {
	return remote.VisibleASCII(token) && strings.Count(token, ".") != 2
}

var _ oauthz.Introspector = (*Client)(nil)
