package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
)

// Config says whom to ask, and which answers are accepted. Endpoint or Issuer,
// Auth (for RFC 7662) and Audience are required; all else may be zero.
type Config struct {
	_ struct{}

	// Endpoint is the introspection endpoint: https, or http on loopback.
	// Default: discovered from Issuer (RFC 8414, then OpenID Connect).
	Endpoint string
	// Issuer is the iss that answers must name, if they name one; it is given to
	// tokens whose answer names none. Required to discover, and for Signed.
	Issuer string
	// Auth is how this API authenticates. Required for RFC 7662: see Basic, Post,
	// Bearer, PrivateKeyJWT, ClientSecretJWT and None. For mutual TLS, None and an
	// HTTPClient with a certificate.
	Auth ClientAuth
	// Audience is what this API is called: at least one must be in aud, compared
	// exactly. Required, unless InsecureAnyAudience.
	Audience []string
	// InsecureAnyAudience accepts tokens for any API, for servers whose answers
	// have no aud. A token that another API was given is then good for this one. So
	// is a refresh token, where the server introspects it as active and its answers
	// have no token_type in which the two differ: see Recognize.
	InsecureAnyAudience bool
	// Signed demands signed answers (RFC 9701). Default: plain JSON.
	Signed *Signed
	// Dialect is what the endpoint speaks. Default RFC7662().
	Dialect Dialect
	// Recognize reports whether a string may be an access token of this server. If
	// not, it is refused with ErrUnrecognized, and nothing is sent. It keeps refresh
	// tokens out by their form, where the server introspects them as active and its
	// answers have no token_type: see the example. It also keeps out a second
	// spelling of an opaque token, which a revocation by [oauthz.MatchTokenHash]
	// does not name: fosite (Ory Hydra), for one, ignores the unused bits of a
	// token's base64url. Default: every token that [VisibleASCII] takes, which no
	// Recognize widens.
	Recognize func(token string) bool
	// Leeway is how far clocks may differ, for exp and nbf. Default 60 s, at most
	// [oauthz.MaxLeeway]; negative: none.
	Leeway time.Duration
	// HTTPClient dials. Redirects are not followed, whatever it says. Default:
	// one with http.DefaultTransport, which also means its proxy settings.
	HTTPClient *http.Client
	// Timeout bounds a call to the server, from when it is sent to the last byte of
	// the answer, a retry included. A request may wait for its turn for a quarter of
	// Timeout before that; 1¼ Timeout bounds all that it waits for, with the
	// discovery. It should not be longer than what callers wait: a server that is
	// overloaded then works for callers that have gone. Default 5 s.
	Timeout time.Duration
	// MaxConcurrent is how many calls may be under way; other requests wait for
	// their turn, or are refused at once (503) where waiting would be in vain. Fewer
	// are sent while the server shows that it cannot do as many within Timeout. Calls
	// of the breaker's own, about a token that does not exist, come on top: at most
	// three, and only when the server does not answer. Default 64.
	MaxConcurrent int
	// MaxAnswerBytes bounds an answer. Default 256 KiB.
	MaxAnswerBytes int
	// Now is the clock; default time.Now.
	Now func() time.Time
}

const (
	defaultLeeway         = 60 * time.Second
	defaultTimeout        = 5 * time.Second
	defaultMaxConcurrent  = 64
	defaultMaxAnswerBytes = 256 << 10
	maxDocuments          = 4 // fetched at once
)

// Dialect is how an endpoint is asked and what its answers mean. What is common
// to all (limits, faults, the retry, the breaker, redaction) is not its concern.
// It must be safe for concurrent use.
type Dialect interface {
	// Ask makes the request. A form, if not nil, is the body: it is encoded after
	// the client authentication has added to it. A request that is sent again is
	// asked for again.
	Ask(ctx context.Context, endpoint *url.URL, token string) (r *http.Request, form url.Values, err error)
	// Answer reads an answer: a token, a refusal or a fault, as for an
	// [oauthz.Introspector]. It sees every status but 3xx, 429 and 5xx. The body
	// has been read to its end, and r.Body is empty; r.Request has the context of
	// the question, and nothing else.
	Answer(r *http.Response, body []byte) (*oauthz.Token, error)
}

// Introspector asks a server. It is an [oauthz.Introspector], and safe for
// concurrent use.
type Introspector struct {
	ctx      context.Context // of New
	cfg      Config
	client   *fetch.Client
	endpoint *endpoint
	breaker  *breaker
}

// Format writes the name of the type: package fmt would print the fields of the
// caller's ClientAuth, which may hold a secret.
func (*Introspector) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "remote.Introspector") }

// Format writes the name of the type, as that of [Introspector] does.
func (Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "remote.Config") }

// New makes an Introspector, or says everything that is wrong with cfg. It does
// not call the server. ctx ends the discovery, the fetching of keys for signed
// answers, and the calls by which the breaker looks whether a server that does not
// answer is back.
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
	// The metadata has a client of its own: it does not wait behind calls about
	// tokens, of which any caller can cause many.
	documents := client(maxDocuments)
	i := &Introspector{ctx: ctx, cfg: cfg, breaker: newBreaker(cfg.Timeout), client: client(cfg.MaxConcurrent)}
	if cfg.Signed != nil {
		dialect, err := newSignedDialect(ctx, &cfg)
		if err != nil {
			return nil, err
		}
		i.cfg.Dialect = dialect
	}
	i.endpoint = newEndpoint(ctx, &cfg, documents)
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

// VisibleASCII is what every token must be, whatever Config.Recognize says: not
// empty, at most [oauthz.MaxTokenBytes] long, and of 0x21 to 0x7E alone, which
// also keeps out what some servers fail at with a 500.
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
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("remote: config: "+format, args...)) }
	if err := cfg.checkEndpoint(); err != nil {
		errs = append(errs, err)
	}
	_, standard := cfg.Dialect.(rfc7662)
	if cfg.Auth == nil && standard {
		wrong("Auth is required: None says that there is none")
	}
	if own, ok := cfg.Auth.(*auth); ok {
		if err := own.check(); err != nil {
			wrong("Auth: %w", err)
		}
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
	if cfg.Signed != nil {
		if err := cfg.Signed.check(cfg, standard); err != nil {
			errs = append(errs, err)
		}
	}
	if cfg.Leeway > oauthz.MaxLeeway {
		wrong("Leeway: %v is more than %v", cfg.Leeway, oauthz.MaxLeeway)
	}
	if cfg.Timeout < 0 || cfg.MaxConcurrent < 0 || cfg.MaxAnswerBytes < 0 {
		wrong("Timeout, MaxConcurrent or MaxAnswerBytes is negative")
	}
	return errors.Join(errs...)
}

// Introspect asks the server about token.
func (i *Introspector) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	if !VisibleASCII(token) || !i.cfg.Recognize(token) {
		return nil, oauthz.ErrUnrecognized
	}
	ctx, cancel := context.WithTimeout(ctx, i.cfg.Timeout+i.cfg.Timeout/4) // see Config.Timeout
	defer cancel()
	place, err := i.endpoint.get(ctx)
	if err != nil {
		return nil, fault(0, "%w", err)
	}
	answer, err := i.call(ctx, place, token)
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
	t = t.Clone() // a dialect may have given it to others too
	if t.Issuer == "" {
		t.Issuer = i.cfg.Issuer
	}
	if err := i.check(t); err != nil {
		return nil, err
	}
	return t.WithLeeway(i.cfg.Leeway).WithTokenHash(token), nil
}

// check checks again what the server should have (RFC 7662 §4).
func (i *Introspector) check(t *oauthz.Token) error {
	now := i.cfg.Now()
	switch {
	case !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt.Add(i.cfg.Leeway)):
		return oauthz.ErrExpired
	case now.Add(i.cfg.Leeway).Before(t.NotBefore):
		return notYet{Refusal("nbf is in the future")}
	case t.IssuedAt.After(now.Add(oauthz.MaxLeeway)): // it would escape every Revocation.IssuedUntil
		return notYet{Refusal("iat is in the future")}
	case i.cfg.Issuer != "" && t.Issuer != i.cfg.Issuer:
		return Refusal("iss is another issuer")
	case !i.cfg.InsecureAnyAudience && len(t.Audience) == 0:
		return Refusal("the answer names no audience: InsecureAnyAudience?")
	case !i.cfg.InsecureAnyAudience && !slices.ContainsFunc(t.Audience, i.isAudience):
		return Refusal("aud does not name this API")
	default:
		return nil
	}
}

// notYet is a refusal that does not last (see [oauthz.Introspector]).
type notYet struct{ error }

func (notYet) Temporary() bool { return true }

func (e notYet) Unwrap() error { return e.error }

func (i *Introspector) isAudience(aud string) bool { return slices.Contains(i.cfg.Audience, aud) }
