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

// Signed configures the verification of signed answers (RFC 9701). An answer that does
// not verify is a fault: nothing is known of the token. So the request is answered
// with 503, and no cache stores the answer.
type Signed struct {
	_ struct{}

	// Audience is the identifier of this API at the server, usually its client id.
	// The aud of the answer must contain it (RFC 9701 §5). Required.
	Audience string
	// JWKSURL is the URL of the server's keys. Default: discovered from Issuer.
	JWKSURL string
	// MaxAge is the largest accepted age of an answer, by its iat. Default 5 min.
	MaxAge time.Duration
}

const (
	signedMediaType  = "application/token-introspection+jwt"
	signedType       = "token-introspection+jwt"
	defaultSignedAge = 5 * time.Minute
)

func (s *Signed) check(cfg *Config, isRFC7662 bool) error {
	var errs []error
	if s.Audience == "" {
		errs = append(errs, errors.New("remote: config: Signed: Audience is required"))
	}
	if cfg.Issuer == "" {
		errs = append(errs, errors.New("remote: config: Signed: Issuer is required"))
	}
	if !isRFC7662 {
		errs = append(errs, errors.New("remote: config: Signed: needs the dialect of RFC 7662"))
	}
	if s.JWKSURL != "" {
		if _, err := fetch.CheckURL(s.JWKSURL); err != nil {
			errs = append(errs, errors.New("remote: config: Signed: JWKSURL: want an https URL"))
		}
	} else if cfg.Issuer != "" {
		if _, err := jose.WellKnown(cfg.Issuer); err != nil {
			errs = append(errs, errors.New("remote: config: Signed: cannot discover the keys of Issuer, and JWKSURL is empty"))
		}
	}
	if s.MaxAge < 0 {
		errs = append(errs, errors.New("remote: config: Signed: MaxAge is negative"))
	}
	return errors.Join(errs...)
}

// signedDialect is the dialect of RFC 7662 with signed answers only (RFC 9701): to
// accept an answer in plain JSON would permit a downgrade.
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
	// The keys have their own client, and so their own limit: their calls do not wait
	// behind calls about tokens.
	client := fetch.New(fetch.Config{
		HTTPClient: cfg.HTTPClient, MaxBytes: maxKeySetBytes, Timeout: keyFetchTimeout, Concurrency: 1,
	})
	keys, err := jose.NewSet(ctx, jose.SetConfig{
		Fetch:   jose.Remote(client, locateKeys(client, issuer, cfg.Signed.JWKSURL)),
		MaxKeys: maxKeys, RefreshInterval: 15 * time.Minute, UnknownInterval: 5 * time.Second, MaxStale: 24 * time.Hour,
		Leeway: cfg.Leeway, Now: cfg.Now,
		Report: keyReporter(cfg.Logger, issuer),
	})
	if err != nil {
		return nil, fmt.Errorf("remote: keys of %s: %w", issuer, err)
	}
	maxAge := cfg.Signed.MaxAge
	if maxAge == 0 {
		maxAge = defaultSignedAge
	}
	return &signedDialect{
		issuer: issuer, audience: cfg.Signed.Audience, maxAge: maxAge, leeway: cfg.Leeway, now: cfg.Now, keys: keys,
	}, nil
}

// keyReporter returns a function that logs a failed fetch of the keys, and private
// keys among them.
func keyReporter(logger *slog.Logger, issuer string) func(jose.Event) {
	log := logger.With("issuer", issuer)
	return func(e jose.Event) {
		if e.Err != nil {
			log.Warn("oauthz: cannot fetch the issuer's keys", "error", e.Err)
		}
		if e.Private > 0 {
			log.Warn("oauthz: the issuer's key set holds private keys: every reader of it can sign answers", "private", e.Private)
		}
	}
}

// locateKeys returns a function that returns the URL of the key set.
func locateKeys(client *fetch.Client, issuer, jwksURL string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		if jwksURL != "" {
			return jwksURL, nil
		}
		ctx, cancel := context.WithTimeout(ctx, keyFetchTimeout) // of all attempts together
		defer cancel()
		return jose.Discover(ctx, client, issuer, "jwks_uri")
	}
}

// Ask returns a request whose Accept names only the type of signed answers: some
// servers treat a second type as permission to answer in plain JSON.
func (d *signedDialect) Ask(ctx context.Context, endpoint *url.URL, token string) (*http.Request, url.Values, error) {
	return newFormRequest(ctx, endpoint, token, signedMediaType)
}

// Answer accepts an answer only if the issuer signed it, for this API and recently.
// The same holds for a refusal. So an error response, which is never signed (RFC 9701
// §4), does not refuse a token.
func (d *signedDialect) Answer(r *http.Response, body []byte) (*oauthz.Token, error) {
	if r.StatusCode != http.StatusOK {
		return nil, requestRefused(r.StatusCode)
	}
	if fetch.MediaType(r.Header) != signedMediaType {
		return nil, fault(0, "the answer is not signed, although Config.Signed requires it")
	}
	jws, err := jose.Parse(string(body), jose.Limits{Token: len(body), Header: 8 << 10})
	if err != nil {
		return nil, unverifiable(err)
	}
	if jws.Type != signedType {
		return nil, unverifiable(errors.New("typ is not " + signedType))
	}
	validity, err := d.keys.Verify(r.Request.Context(), &jws)
	if err != nil {
		return nil, unverifiable(err)
	}
	answer, err := d.verifyEnvelope(&jws)
	if err != nil {
		return nil, unverifiable(err)
	}
	t, err := parseAnswer([]byte(answer))
	if err != nil {
		return nil, err
	}
	// The verdict is valid no longer than the key that signed the answer.
	until := validity.Until
	if end := t.ExpiresAt.Add(d.leeway); !t.ExpiresAt.IsZero() && end.Before(until) {
		until = end
	}
	t.SetVerdict(oauthz.Verdict{Until: until, Live: validity.Live})
	return t, nil
}

// unverifiable returns the fault for an answer that does not verify. If newer keys may
// help, its RetryAfter is the time until they can be fetched.
func unverifiable(err error) error {
	var wait time.Duration
	var unavailable *jose.Unavailable
	if errors.As(err, &unavailable) {
		wait = unavailable.RetryAfter
	}
	return fault(wait, "the signed answer: %w", err)
}

// verifyEnvelope checks that the claims of a signed answer name the issuer, this API
// and a recent time, and returns its claim token_introspection (RFC 9701 §5).
func (d *signedDialect) verifyEnvelope(jws *jose.JWS) (string, error) {
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
		return "", errors.New("aud does not name this API (see Signed.Audience)")
	case envelope.IssuedAt.IsZero(), now.Sub(envelope.IssuedAt) > d.maxAge+d.leeway, envelope.IssuedAt.Sub(now) > d.leeway:
		return "", errors.New("iat is missing, too old, or in the future")
	case !envelope.ExpiresAt.IsZero() && !now.Before(envelope.ExpiresAt.Add(d.leeway)), now.Add(d.leeway).Before(envelope.NotBefore):
		return "", errors.New("the answer has expired, or is not valid yet")
	}
	answer, ok := envelope.Claim("token_introspection")
	if !ok || answer[0] != '{' {
		return "", errors.New("token_introspection is missing, or not an object")
	}
	return string(answer), nil
}
