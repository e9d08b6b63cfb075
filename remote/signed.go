package remote

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/jose"
)

// Signed configures how signed answers are verified (RFC 9701). An answer that
// does not verify is a fault: nothing is known of the token, so the request is
// answered with 503, and no cache remembers it.
type Signed struct {
	_ struct{}

	// Audience is who we are to the server, usually our client id: it must be the
	// aud of the answer (RFC 9701 §5). Required.
	Audience string
	// JWKSURL is where the server's keys are. Default: discovered from Issuer.
	JWKSURL string
	// MaxAge is how old an answer may be, by its iat. Default 5 min.
	MaxAge time.Duration
}

const (
	signedMediaType  = "application/token-introspection+jwt"
	signedType       = "token-introspection+jwt"
	defaultSignedAge = 5 * time.Minute
)

func (s *Signed) check(cfg *Config, standard bool) error {
	var errs []error
	if s.Audience == "" {
		errs = append(errs, errors.New("remote: config: Signed: Audience is required"))
	}
	if cfg.Issuer == "" {
		errs = append(errs, errors.New("remote: config: Signed: Issuer is required"))
	}
	if !standard {
		errs = append(errs, errors.New("remote: config: Signed: only with the dialect of RFC 7662"))
	}
	if s.JWKSURL != "" {
		if _, err := fetch.CheckURL(s.JWKSURL); err != nil {
			errs = append(errs, errors.New("remote: config: Signed: JWKSURL: want an https URL"))
		}
	} else if cfg.Issuer != "" {
		if _, err := jose.WellKnown(cfg.Issuer); err != nil {
			errs = append(errs, errors.New("remote: config: Signed: cannot discover the keys of Issuer, and there is no JWKSURL"))
		}
	}
	if s.MaxAge < 0 {
		errs = append(errs, errors.New("remote: config: Signed: MaxAge is negative"))
	}
	return errors.Join(errs...)
}

// signedDialect is rfc7662 with answers that the issuer has signed, and no
// others: one in plain JSON would be a downgrade.
type signedDialect struct {
	issuer, audience string
	maxAge, leeway   time.Duration
	now              func() time.Time
	keys             *jose.Set
}

// Bounds of the issuer's key set: the defaults of package localjwt.
const (
	maxKeys         = 512
	maxKeySetBytes  = 1 << 20
	keyFetchTimeout = 4 * time.Second
)

func newSignedDialect(ctx context.Context, cfg *Config) (*signedDialect, error) {
	issuer := cfg.Issuer
	// A client of its own: the keys do not wait for a turn behind the questions
	// about tokens.
	client := fetch.New(fetch.Config{
		HTTPClient: cfg.HTTPClient, MaxBytes: maxKeySetBytes, Timeout: keyFetchTimeout, Concurrency: 1,
	})
	keys, err := jose.NewSet(ctx, jose.SetConfig{
		Fetch:   jose.Remote(client, locateKeys(client, issuer, cfg.Signed.JWKSURL)),
		MaxKeys: maxKeys, RefreshInterval: 15 * time.Minute, UnknownInterval: 5 * time.Second, MaxStale: 24 * time.Hour,
		Leeway: cfg.Leeway, Now: cfg.Now,
		Report: func(e jose.Event) {
			if e.Err != nil {
				slog.Warn("oauthz: cannot fetch the issuer's keys", "issuer", issuer, "error", e.Err)
			}
			if e.Private > 0 {
				slog.Warn("oauthz: the issuer's key set holds private keys: every reader of it can sign answers",
					"issuer", issuer, "private", e.Private)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	maxAge := cfg.Signed.MaxAge
	if maxAge == 0 {
		maxAge = defaultSignedAge
	}
	return &signedDialect{
		issuer: cfg.Issuer, audience: cfg.Signed.Audience, maxAge: maxAge, leeway: cfg.Leeway, now: cfg.Now, keys: keys,
	}, nil
}

// locateKeys returns a function that returns the URL of the key set.
func locateKeys(client *fetch.Client, issuer, jwksURL string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if jwksURL != "" {
			return jwksURL, nil
		}
		ctx, cancel := context.WithTimeout(ctx, keyFetchTimeout) // of all places together
		defer cancel()
		return jose.Discover(ctx, client, issuer, "jwks_uri")
	}
}

// Ask accepts nothing but signed answers: some servers take a second type for
// permission to answer in plain JSON.
func (d *signedDialect) Ask(ctx context.Context, endpoint *url.URL, token string) (*http.Request, url.Values, error) {
	return ask(ctx, endpoint, token, signedMediaType)
}

// Answer accepts an answer only if the issuer signed it, for us and now. That holds
// for a refusal too, so an error response, which is never signed (RFC 9701 §4),
// refuses no token.
func (d *signedDialect) Answer(r *http.Response, body []byte) (*oauthz.Token, error) {
	if r.StatusCode != http.StatusOK {
		return nil, refusesUs(r.StatusCode)
	}
	if fetch.MediaType(r.Header) != signedMediaType {
		return nil, fault(0, "the answer is not signed, although that was asked for")
	}
	jws, err := jose.Parse(string(body), jose.Limits{Token: len(body), Header: 8 << 10})
	if err != nil {
		return nil, unbelievable(err)
	}
	if jws.Type != signedType {
		return nil, unbelievable(errors.New("typ is not " + signedType))
	}
	validity, err := d.keys.Verify(r.Request.Context(), &jws)
	if err != nil {
		return nil, unbelievable(err)
	}
	answer, err := d.open(&jws)
	if err != nil {
		return nil, unbelievable(err)
	}
	t, err := readAnswer(answer)
	if err != nil {
		return nil, err
	}
	// What was signed stands no longer than the key that signed it.
	until := validity.Until
	if end := t.ExpiresAt.Add(d.leeway); !t.ExpiresAt.IsZero() && end.Before(until) {
		until = end
	}
	return t.WithValidity(until, validity.Live), nil
}

// unbelievable returns the fault for an answer that does not verify. Where newer
// keys may help, it names the time until they can be fetched.
func unbelievable(err error) error {
	var wait time.Duration
	var unavailable *jose.Unavailable
	if errors.As(err, &unavailable) {
		wait = unavailable.RetryAfter
	}
	return fault(wait, "the signed answer: %w", err)
}

// open returns token_introspection, if the issuer signed it for us and now (RFC
// 9701 §5).
func (d *signedDialect) open(jws *jose.JWS) (string, error) {
	payload, err := jws.Payload()
	if err != nil {
		return "", err
	}
	envelope, err := oauthz.ParseToken(payload)
	if err != nil {
		return "", err
	}
	now := d.now()
	switch {
	case envelope.Issuer != d.issuer:
		return "", errors.New("iss is another issuer")
	case !slices.Contains(envelope.Audience, d.audience):
		return "", errors.New("aud does not name us: Signed.Audience?")
	case envelope.IssuedAt.IsZero(), now.Sub(envelope.IssuedAt) > d.maxAge+d.leeway, envelope.IssuedAt.Sub(now) > d.leeway:
		return "", errors.New("iat is missing, too old, or in the future")
	case !envelope.ExpiresAt.IsZero() && !now.Before(envelope.ExpiresAt.Add(d.leeway)), now.Add(d.leeway).Before(envelope.NotBefore):
		return "", errors.New("expired, or not valid yet")
	}
	answer, ok := envelope.Claim("token_introspection")
	if !ok || answer[0] != '{' {
		return "", errors.New("token_introspection is missing, or not an object")
	}
	return string(answer), nil
}
