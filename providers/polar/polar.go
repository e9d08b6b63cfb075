package polar

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

const (
	// Production and Sandbox are the base URLs of Polar.
	Production = "https://api.polar.sh"
	Sandbox    = "https://sandbox-api.polar.sh"

	// Issuer is the iss of all tokens, those of the sandbox too.
	Issuer = "https://polar.sh"
)

// The values of Config.TokenAuthMethod.
const (
	ClientSecretPost  = "client_secret_post"
	ClientSecretBasic = "client_secret_basic"
)

// Config says who we are to Polar. ClientID and ClientSecret are required; all
// else may be zero.
type Config struct {
	_ struct{}

	// ClientID is the OAuth client that the tokens are issued to: tokens of other
	// clients are refused. Required.
	ClientID string
	// ClientSecret is that client's. Required: Polar lets no public client
	// introspect.
	ClientSecret oauthz.Secret
	// TokenAuthMethod is the token_endpoint_auth_method that the client is
	// registered with: ClientSecretPost or ClientSecretBasic. Only Token depends on
	// it. Default ClientSecretPost, as for a registration that names none.
	TokenAuthMethod string
	// BaseURL is where Polar is: https, or http on loopback. Default Production.
	BaseURL string
	// Revoker is told of the access token that Revoke revokes, before Polar is asked
	// and whatever it answers: a Guard that has the same list in its Revocations
	// then refuses the token at once, whatever a cache remembers. Default: none, and
	// the token is accepted until the end of the cache's TTL.
	Revoker oauthz.Revoker
	// MaxTokenLifetime is the longest that an access token of ClientID lives. What
	// Revoker is told is kept that long; with less than the truth, a token that
	// Polar failed to revoke is accepted again. Default: for ever, for Polar
	// documents no bound (in its examples, a token lives 10 days).
	MaxTokenLifetime time.Duration
	// HTTPClient dials. Redirects are not followed, whatever it says. Default: one
	// with http.DefaultTransport.
	HTTPClient *http.Client
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Client asks Polar. It is an [oauthz.Introspector], and safe for concurrent use.
type Client struct {
	introspector *remote.Introspector
	// A pointer, as the introspector is: fmt does not look behind it, so that no
	// verb prints a secret of a Client.
	api *api
}

// New makes a Client, or says everything that is wrong with cfg. It does not
// call Polar.
func New(cfg Config) (*Client, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = Production
	}
	if cfg.TokenAuthMethod == "" {
		cfg.TokenAuthMethod = ClientSecretPost
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	base, err := cfg.check()
	if err != nil {
		return nil, err
	}
	basic := remote.Basic(cfg.ClientID, cfg.ClientSecret)
	tokenAuth := basic
	if cfg.TokenAuthMethod == ClientSecretPost {
		tokenAuth = remote.Post(cfg.ClientID, cfg.ClientSecret)
	}
	a := newAPI(base, basic, tokenAuth, &cfg)
	// With an Endpoint it starts nothing that a context would have to end.
	introspector, err := remote.New(context.Background(), remote.Config{
		Endpoint: a.endpoint("introspect"), Issuer: Issuer, Auth: basic, Audience: []string{cfg.ClientID},
		Dialect: dialect{remote.RFC7662(), cfg.ClientID}, Recognize: isAccessToken, HTTPClient: cfg.HTTPClient, Now: cfg.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("polar: config: %w", err)
	}
	return &Client{introspector: introspector, api: a}, nil
}

func (cfg *Config) recorder() *providers.Recorder {
	return &providers.Recorder{Vendor: "polar", Issuer: Issuer, Revoker: cfg.Revoker, Now: cfg.Now}
}

func (cfg *Config) check() (*url.URL, error) {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("polar: config: "+format, args...)) }
	base, err := fetch.CheckBaseURL(cfg.BaseURL)
	if err != nil {
		wrong("BaseURL: %w", err)
	}
	if cfg.ClientID == "" {
		wrong("ClientID is required: it is whose tokens are accepted")
	}
	if cfg.ClientSecret == "" {
		wrong("ClientSecret is required: Polar lets no public client introspect")
	}
	if cfg.TokenAuthMethod != ClientSecretPost && cfg.TokenAuthMethod != ClientSecretBasic {
		wrong("TokenAuthMethod: want %s or %s", ClientSecretPost, ClientSecretBasic)
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

// Introspect asks Polar about token, if it has the form of an access token of
// Polar. Any other string that begins like a secret of Polar is refused; the
// rest is [oauthz.ErrUnrecognized]. Neither is sent.
func (c *Client) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	if strings.HasPrefix(token, "polar_") && !isAccessToken(token) {
		// A refresh token is a credential for Polar alone: not one to hand on.
		return nil, remote.Refusal("is no access token of Polar, by its form")
	}
	return c.introspector.Introspect(ctx, token)
}
