package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
)

// Config configures an [Introspector]. Endpoint or Issuer, Auth (for RFC 7662) and
// Audience are required; every other field may be zero.
type Config struct {
	_ struct{}

	// Endpoint is the URL of the introspection endpoint: https, or http on loopback.
	// Default: discovered from Issuer (RFC 8414 §3, then OpenID Connect Discovery §4).
	Endpoint string
	// Issuer is the issuer of the tokens. An answer with another iss is refused
	// (RFC 7662 §2.2); a token whose answer has no iss gets this one. Required for
	// discovery and for Signed.
	Issuer string
	// Auth is the client authentication of this API. Required for RFC 7662 (§2.1):
	// see Basic, Post, Bearer, PrivateKeyJWT, ClientSecretJWT and None. For mutual
	// TLS, set None and an HTTPClient with a certificate.
	Auth ClientAuth
	// Audience holds the identifiers of this API. At least one must be in aud; they
	// are compared exactly. Required, unless InsecureAnyAudience is set.
	Audience []string
	// InsecureAnyAudience accepts tokens for any API, for servers whose answers
	// have no aud. This API then accepts a token that a client obtained for another
	// API. It also accepts a refresh token if the server introspects it as active
	// and its answers have no token_type in which the two differ: see Recognize.
	InsecureAnyAudience bool
	// Signed requires signed answers (RFC 9701). Default: plain JSON.
	Signed *Signed
	// Dialect is the protocol of the endpoint. Default: RFC7662().
	Dialect Dialect
	// Recognize reports whether a string may be an access token of this server. If
	// it returns false, the token is refused with ErrUnrecognized, and nothing is
	// sent. Recognize can refuse refresh tokens by their form, for servers that
	// introspect them as active in answers without a token_type: see the example. It
	// can also refuse a second spelling of an opaque token, which a revocation by
	// [oauthz.MatchTokenHash] does not match: fosite (Ory Hydra), for one, ignores
	// the unused bits of a token's base64url. Default: every token that
	// [VisibleASCII] accepts. Recognize cannot accept any other token.
	Recognize func(token string) bool
	// Leeway is the largest accepted difference between clocks, for exp and nbf.
	// Default 60 s, at most [oauthz.MaxLeeway]; negative: no leeway.
	Leeway time.Duration
	// HTTPClient sends the requests. Redirects are never followed, regardless of its
	// CheckRedirect. Default: a client with http.DefaultTransport, and so with the
	// proxy settings of that transport.
	HTTPClient *http.Client
	// Logger receives a warning when the keys of Issuer for signed answers cannot be
	// fetched, and when Issuer publishes private keys among them. Default:
	// slog.Default().
	Logger *slog.Logger
	// Timeout bounds a call to the server, from the moment when it is sent to the
	// last byte of the answer, including a retry. Before that, a request may wait a
	// quarter of Timeout for its turn. So 1¼ Timeout bounds the whole of a request,
	// including the discovery. Timeout should not be longer than callers wait: an
	// overloaded server would then work for callers that have gone. Default 5 s.
	Timeout time.Duration
	// MaxConcurrent is the largest number of calls in flight. Other requests wait
	// for their turn, or are refused at once (503) if they would wait in vain. Fewer
	// calls are sent while the server proves unable to answer that many within
	// Timeout. Probes of the breaker, about a token that does not exist, are not
	// counted: there are at most three, and only while the server does not answer.
	// Default 64.
	MaxConcurrent int
	// MaxAnswerBytes bounds the body of an answer. Default 256 KiB.
	MaxAnswerBytes int
	// Now returns the current time. Default: time.Now.
	Now func() time.Time
}

const (
	defaultLeeway         = 60 * time.Second
	defaultTimeout        = 5 * time.Second
	defaultMaxConcurrent  = 64
	defaultMaxAnswerBytes = 256 << 10
	maxMetadataCalls      = 4 // in flight at once
)

// Dialect is the protocol of an endpoint: its requests and its answers. The
// Introspector does the rest for every dialect: limits, faults, the retry, the
// breaker, and redaction. A Dialect must be safe for concurrent use.
type Dialect interface {
	// Ask returns a request about token. A form that is not nil becomes the body: it
	// is encoded after the client authentication has added its fields. Ask is called
	// again for a request that is sent again.
	Ask(ctx context.Context, endpoint *url.URL, token string) (r *http.Request, form url.Values, err error)
	// Answer reads an answer and returns a token, a refusal or a fault, as an
	// [oauthz.Introspector] does. It is called for every status except 3xx, 429 and
	// 5xx. The body has been read to its end, and r.Body is empty; r.Request has the
	// context of the question, and no other field.
	Answer(r *http.Response, body []byte) (*oauthz.Token, error)
}

// Introspector validates tokens at a server. It is an [oauthz.Introspector], and
// safe for concurrent use.
type Introspector struct {
	ctx      context.Context // of New
	cfg      Config
	client   *fetch.Client
	endpoint *endpointSource
	breaker  *breaker
}

// Format writes the name of the type: package fmt would print the fields of the
// caller's ClientAuth, which may hold a secret.
func (*Introspector) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "remote.Introspector") }

// Format writes the name of the type, for the same reason as that of [Introspector].
func (Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "remote.Config") }

// New returns an Introspector, or an error that joins every mistake in cfg. It does
// not call the server. When ctx ends, so do the discovery, the refresh of the keys
// for signed answers, and the probes of the breaker.
func New(ctx context.Context, cfg Config) (*Introspector, error) {
	if ctx == nil {
		return nil, errors.New("remote: the context is nil")
	}
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.Audience = slices.Clone(cfg.Audience)
	client := func(concurrency int) *fetch.Client {
		return fetch.New(fetch.Config{
			HTTPClient: cfg.HTTPClient, MaxBytes: int64(cfg.MaxAnswerBytes), Timeout: cfg.Timeout, Concurrency: concurrency,
		})
	}
	// The metadata has its own client, and so its own limit: its calls do not wait
	// behind calls about tokens, of which any caller can cause many.
	metadata := client(maxMetadataCalls)
	i := &Introspector{ctx: ctx, cfg: cfg, breaker: newBreaker(cfg.Timeout), client: client(cfg.MaxConcurrent)}
	if cfg.Signed != nil {
		dialect, err := newSignedDialect(ctx, &cfg)
		if err != nil {
			return nil, err
		}
		i.cfg.Dialect = dialect
	}
	i.endpoint = newEndpointSource(ctx, &cfg, metadata)
	return i, nil
}

func (cfg Config) withDefaults() Config {
	if cfg.Dialect == nil {
		cfg.Dialect = RFC7662()
	}
	if cfg.Recognize == nil {
		cfg.Recognize = func(string) bool { return true }
	}
	if cfg.Leeway == 0 {
		cfg.Leeway = defaultLeeway
	}
	cfg.Leeway = max(cfg.Leeway, 0)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.MaxConcurrent == 0 {
		cfg.MaxConcurrent = defaultMaxConcurrent
	}
	if cfg.MaxAnswerBytes == 0 {
		cfg.MaxAnswerBytes = defaultMaxAnswerBytes
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

// VisibleASCII reports whether token is not empty, at most [oauthz.MaxTokenBytes]
// long, and made of the bytes 0x21 to 0x7E only. Every token must pass it,
// regardless of Config.Recognize. It also refuses the bytes to which some servers
// answer with a 500.
func VisibleASCII(token string) bool {
	if token == "" || len(token) > oauthz.MaxTokenBytes {
		return false
	}
	for i := range len(token) {
		if token[i] < 0x21 || token[i] > 0x7E {
			return false
		}
	}
	return true
}

func (cfg *Config) check() error {
	var errs []error
	addf := func(format string, args ...any) { errs = append(errs, fmt.Errorf("remote: config: "+format, args...)) }
	if err := cfg.checkEndpoint(); err != nil {
		errs = append(errs, err)
	}
	_, isRFC7662 := cfg.Dialect.(rfc7662)
	if cfg.Auth == nil && isRFC7662 {
		addf("Auth is required: set None for an endpoint without client authentication")
	}
	if builtIn, ok := cfg.Auth.(*auth); ok {
		if err := builtIn.check(); err != nil {
			addf("Auth: %w", err)
		}
	}
	if len(cfg.Audience) == 0 && !cfg.InsecureAnyAudience {
		addf("Audience is required: without it, a token for any other API is accepted")
	}
	if len(cfg.Audience) > 0 && cfg.InsecureAnyAudience {
		addf("Audience and InsecureAnyAudience exclude each other")
	}
	if slices.Contains(cfg.Audience, "") {
		addf("Audience holds an empty string")
	}
	if cfg.Signed != nil {
		if err := cfg.Signed.check(cfg, isRFC7662); err != nil {
			errs = append(errs, err)
		}
	}
	if cfg.Leeway > oauthz.MaxLeeway {
		addf("Leeway: %v is more than %v", cfg.Leeway, oauthz.MaxLeeway)
	}
	if cfg.Timeout < 0 || cfg.MaxConcurrent < 0 || cfg.MaxAnswerBytes < 0 {
		addf("Timeout, MaxConcurrent or MaxAnswerBytes is negative")
	}
	return errors.Join(errs...)
}

// Introspect sends token to the server and returns its claims. It returns an error
// that wraps [oauthz.ErrInvalidToken] if the server, or a check of the answer,
// refuses the token, and [oauthz.ErrUnrecognized] if Config.Recognize does. Any
// other error is a fault.
func (i *Introspector) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	if !VisibleASCII(token) || !i.cfg.Recognize(token) {
		return nil, oauthz.ErrUnrecognized
	}
	ctx, cancel := context.WithTimeout(ctx, i.cfg.Timeout+i.cfg.Timeout/4) // see Config.Timeout
	defer cancel()
	endpoint, err := i.endpoint.resolve(ctx)
	if err != nil {
		return nil, fault(0, "%s: %w", i.endpoint.name, err)
	}
	answer, err := i.call(ctx, endpoint, token)
	if err != nil {
		return nil, err
	}
	t, err := i.cfg.Dialect.Answer(&http.Response{
		StatusCode: answer.Status, Header: answer.Header, Body: http.NoBody, Request: new(http.Request).WithContext(ctx),
	}, answer.Body)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, fault(0, "the dialect returned neither a token nor an error")
	}
	t = t.Clone() // the dialect may share it with other callers
	if t.Issuer == "" {
		t.Issuer = i.cfg.Issuer
	}
	if err := i.check(t); err != nil {
		return nil, err
	}
	verdict := t.Verdict()
	verdict.Leeway = cmp.Or(verdict.Leeway, i.cfg.Leeway)
	verdict.TokenHash = oauthz.TokenHash(token)
	t.SetVerdict(verdict)
	return t, nil
}

// check repeats the checks of a token that the server should have made (RFC 7662 §4).
func (i *Introspector) check(t *oauthz.Token) error {
	now := i.cfg.Now()
	switch {
	case !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt.Add(i.cfg.Leeway)):
		return oauthz.ErrExpired
	case now.Add(i.cfg.Leeway).Before(t.NotBefore):
		return notYetValid{Refusal("nbf is in the future")}
	case t.IssuedAt.After(now.Add(oauthz.MaxLeeway)): // no Revocation.IssuedUntil would match it
		return notYetValid{Refusal("iat is in the future")}
	case i.cfg.Issuer != "" && t.Issuer != i.cfg.Issuer:
		return Refusal("iss is another issuer")
	case !i.cfg.InsecureAnyAudience && len(t.Audience) == 0:
		return Refusal("the answer has no audience (see Config.InsecureAnyAudience)")
	case !i.cfg.InsecureAnyAudience && !slices.ContainsFunc(t.Audience, i.isAudience):
		return Refusal("aud does not name this API")
	default:
		return nil
	}
}

// notYetValid is a temporary refusal: see [oauthz.Introspector].
type notYetValid struct{ error }

func (notYetValid) Temporary() bool { return true }

func (e notYetValid) Unwrap() error { return e.error }

func (i *Introspector) isAudience(aud string) bool { return slices.Contains(i.cfg.Audience, aud) }
