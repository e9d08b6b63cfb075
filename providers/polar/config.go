package polar

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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

	// Issuer is the iss of all tokens, also of the tokens of the sandbox.
	Issuer = "https://polar.sh"
)

// The values of Config.TokenAuthMethod.
const (
	ClientSecretPost  = "client_secret_post"
	ClientSecretBasic = "client_secret_basic"
)

// Config configures a [Client]. Only ClientID and ClientSecret are required.
type Config struct {
	_ struct{}

	// ClientID is the OAuth client that the tokens are issued to. The tokens of other
	// clients are refused. Required.
	ClientID string
	// ClientSecret is the secret of that client. Required: at Polar, a public client
	// cannot introspect.
	ClientSecret oauthz.Secret
	// TokenAuthMethod is the token_endpoint_auth_method that the client is
	// registered with: ClientSecretPost or ClientSecretBasic. Only Token depends on
	// it. Default ClientSecretPost, which is also the default of a registration.
	TokenAuthMethod string
	// BaseURL is the base URL of the API: https, or http on loopback. Default
	// [Production].
	BaseURL string
	// Revoker records the access token that Revoke revokes, before Polar is called,
	// and even if Polar fails. A Guard that has the same list in its RevocationLists then
	// refuses the token at once, even if a cache still holds it. Default: none, and
	// the token is accepted until the end of the cache's TTL.
	Revoker oauthz.Revoker
	// MaxTokenLifetime is the longest lifetime of an access token of ClientID. The
	// record in Revoker expires after it. If it is too short, a token that Polar
	// failed to revoke is accepted again. Default: the record never expires, because
	// Polar does not document a bound (in its examples, a token lives 10 days).
	MaxTokenLifetime time.Duration
	// HTTPClient sends the requests. Redirects are not followed, even if it would
	// follow them. Default: a client with http.DefaultTransport.
	HTTPClient *http.Client
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Client calls Polar. It is an [oauthz.Introspector], and safe for concurrent use.
type Client struct {
	introspector *remote.Introspector
	// A pointer, as the introspector is: package fmt does not follow it, so that no
	// verb prints a secret of a Client.
	api *api
}

// New returns a Client, or an error that joins every mistake in cfg. It does not
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
	// With an Endpoint, remote.New starts nothing that a context would have to end.
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
	return &providers.Recorder{Vendor: vendor, Issuer: Issuer, Revoker: cfg.Revoker, Now: cfg.Now}
}

func (cfg *Config) check() (*url.URL, error) {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("polar: config: "+format, args...)) }
	base, err := fetch.CheckBaseURL(cfg.BaseURL)
	if err != nil {
		wrong("BaseURL: %w", err)
	}
	if cfg.ClientID == "" {
		wrong("ClientID is required: only the tokens of this client are accepted")
	}
	if cfg.ClientSecret == "" {
		wrong("ClientSecret is required: at Polar, a public client cannot introspect")
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

var _ oauthz.Introspector = (*Client)(nil)
