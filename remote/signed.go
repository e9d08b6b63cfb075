package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/jose"
)

// Signed says how signed answers are verified (RFC 9701).
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

func newSignedDialect(ctx context.Context, cfg *Config, client *fetch.Client) (*signedDialect, error) {
	jwksURL := cfg.Signed.JWKSURL
	keys, err := jose.NewSet(ctx, jose.SetConfig{
		Fetch: jose.Remote(client, func(ctx context.Context) (string, error) {
			if jwksURL != "" {
				return jwksURL, nil
			}
			return jose.Discover(ctx, client, cfg.Issuer, "jwks_uri")
		}),
		MaxKeys: 512, RefreshInterval: 15 * time.Minute, UnknownInterval: 5 * time.Second, MaxStale: 24 * time.Hour,
		Now: cfg.Now,
		Report: func(e jose.Event) {
			if e.Err != nil {
				slog.Warn("oauthz: cannot fetch the issuer's keys", "issuer", cfg.Issuer, "error", e.Err)
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

// Ask accepts nothing but signed answers: some servers take a second type for
// permission to answer in plain JSON.
func (d *signedDialect) Ask(ctx context.Context, endpoint *url.URL, token string) (*http.Request, url.Values, error) {
	return ask(ctx, endpoint, token, signedMediaType)
}

func (d *signedDialect) Answer(r *http.Response, body []byte) (*oauthz.Token, error) {
	if err := checkStatus(r, body); err != nil {
		return nil, err
	}
	if fetch.MediaType(r.Header) != signedMediaType {
		return nil, fault(0, "the answer is not signed, although that was asked for")
	}
	jws, err := jose.Parse(string(body), jose.Limits{Token: len(body), Header: 8 << 10})
	if err != nil {
		return nil, refuseSigned(err)
	}
	if jws.Type != signedType {
		return nil, Refusal("the signed answer: typ is not " + signedType)
	}
	validity, err := d.keys.Verify(r.Request.Context(), &jws)
	if err != nil {
		return nil, refuseSigned(err)
	}
	t, err := d.read(&jws)
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

// refuseSigned: an answer that is not the issuer's says nothing good of the
// token. Only where its keys are not to be had is it a fault.
func refuseSigned(err error) error {
	var unavailable *jose.Unavailable
	if errors.As(err, &unavailable) {
		return fault(unavailable.RetryAfter, "the signed answer: %w", err)
	}
	return fmt.Errorf("%w: the signed answer: %w", oauthz.ErrInvalidToken, err)
}

// read checks what was signed (RFC 9701 §5).
func (d *signedDialect) read(jws *jose.JWS) (*oauthz.Token, error) {
	payload, err := jws.Payload()
	if err != nil {
		return nil, refuseSigned(err)
	}
	envelope, err := oauthz.ParseToken(payload)
	if err != nil {
		return nil, refuseSigned(err)
	}
	now := d.now()
	switch {
	case envelope.Issuer != d.issuer:
		return nil, Refusal("the signed answer is of another issuer")
	case !slices.Contains(envelope.Audience, d.audience):
		return nil, Refusal("the signed answer is for somebody else")
	case envelope.IssuedAt.IsZero(), now.Sub(envelope.IssuedAt) > d.maxAge+d.leeway, envelope.IssuedAt.Sub(now) > d.leeway:
		return nil, Refusal("the signed answer is not of now")
	case !envelope.ExpiresAt.IsZero() && !now.Before(envelope.ExpiresAt.Add(d.leeway)), now.Add(d.leeway).Before(envelope.NotBefore):
		return nil, Refusal("the signed answer is over, or not valid yet")
	}
	answer, ok := envelope.Claim("token_introspection")
	if !ok || answer[0] != '{' {
		return nil, Refusal("the signed answer holds no introspection")
	}
	return readAnswer(string(answer))
}
