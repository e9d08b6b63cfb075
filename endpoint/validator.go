package endpoint

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/strictjson"
)

// question is a request about a token, of a client that is authenticated.
type tokenRequest struct {
	client caller
	token  string
}

// ask reads a question. The client comes first: who is none learns nothing, not
// even what is missing.
func readTokenRequest(auth ClientAuthenticator, w http.ResponseWriter, r *http.Request) (tokenRequest, error) {
	form, err := readForm(w, r)
	if err != nil {
		return tokenRequest{}, err
	}
	for name, values := range form { // RFC 6749 §3.2: as if it were omitted
		if values[0] == "" {
			delete(form, name)
		}
	}
	token := form.Get("token") // before Auth has the form
	client, err := authenticate(auth, r, form)
	if err != nil {
		return tokenRequest{}, err
	}
	if token == "" {
		return tokenRequest{}, badRequest("The parameter token is missing")
	}
	// token_type_hint is no more than a hint (RFC 7662 §2.1, RFC 7009 §2.1): one
	// introspector knows all tokens that there are.
	return tokenRequest{client, token}, nil
}

// judge says whether a token is active, as a Guard would.
type tokenValidator struct {
	introspector oauthz.Introspector
	now          func() time.Time
}

func newTokenValidator(in oauthz.Introspector, lists []oauthz.RevocationList, now func() time.Time) (tokenValidator, error) {
	in = requireAnswer(in)
	if len(lists) > 0 {
		var err error
		if in, err = oauthz.CheckRevoked(in, lists...); err != nil {
			return tokenValidator{}, err
		}
	}
	return tokenValidator{in, clock(now)}, nil
}

func clock(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}

// verdicts is next without the answer that is none.
func requireAnswer(next oauthz.Introspector) oauthz.Introspector {
	return oauthz.IntrospectorFunc(func(ctx context.Context, token string) (*oauthz.Token, error) {
		t, err := next.Introspect(ctx, token)
		if t == nil && err == nil {
			return nil, &oauthz.Error{
				Status: http.StatusInternalServerError, Code: codeServerError,
				Err: errors.New("the introspector returned neither a token nor an error"),
			}
		}
		return t, err
	})
}

// judge returns the token if it is active, and nil if it is not: an error is a
// fault.
func (j *tokenValidator) active(ctx context.Context, token string) (*oauthz.Token, error) {
	t, err := j.introspect(ctx, token)
	if err != nil {
		return nil, faultOf(err)
	}
	if t == nil || t.Expired(j.now()) {
		return nil, nil
	}
	return t, nil
}

// living returns the token if an API may still accept it, and nil if none ever
// will: an error means that the judge cannot tell. It differs from judge for a
// token that is refused now and may be accepted later, or elsewhere, where a
// clock is behind.
func (j *tokenValidator) revocable(ctx context.Context, token string) (*oauthz.Token, error) {
	t, err := j.introspect(ctx, token)
	if err != nil {
		if fault := faultOf(err); fault != nil {
			return nil, fault
		}
		if mayBeAccepted(err) {
			return nil, unavailable(err)
		}
		return nil, nil
	}
	if t == nil || !t.ExpiresAt.IsZero() && !j.now().Before(t.ExpiresAt.Add(oauthz.MaxLeeway)) {
		return nil, nil
	}
	return t, nil
}

// ask returns the answer of the introspector, and no token for a string that
// cannot be one: unknown tokens are not an error (RFC 7662 §2.2, RFC 7009 §2.2).
func (j *tokenValidator) introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	if !isTokenSyntax(token) {
		return nil, nil
	}
	return j.introspector.Introspect(ctx, token)
}

// mayBeAccepted reports whether a token that was refused with err may be accepted
// by another request: the refusal is temporary (its key is not published yet, or
// it is not valid yet), or the token is good and lacks a permission.
func mayBeAccepted(err error) bool {
	var (
		temporary interface{ Temporary() bool }
		e         *oauthz.Error
	)
	return errors.As(err, &temporary) && temporary.Temporary() ||
		errors.As(err, &e) && e != nil && e.Status == http.StatusForbidden ||
		errors.Is(err, oauthz.ErrInsufficientScope) || errors.Is(err, oauthz.ErrInsufficientAuthentication)
}

// faultOf returns nil if err is a refusal.
func faultOf(err error) error {
	var e *oauthz.Error
	switch {
	case errors.As(err, &e):
		return faultOfError(e, err)
	case errors.Is(err, oauthz.ErrInvalidToken), errors.Is(err, oauthz.ErrUnrecognized):
		return nil
	default:
		return unavailable(err)
	}
}

// faultOfError goes by the status, as a Guard does: it is how an introspector
// says exactly what to answer.
func faultOfError(e *oauthz.Error, err error) error {
	if e == nil {
		return serverError(errors.New("the introspector returned a nil *Error"))
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden:
		return nil
	case http.StatusServiceUnavailable:
		return unavailable(err)
	default:
		return serverError(err)
	}
}

// isRefresh finds what servers say of refresh tokens, which most of them
// introspect as active: one is never an access token.
func isRefreshToken(t *oauthz.Token) bool {
	for _, name := range []string{"token_type", "token_use", "typ"} {
		value, _ := t.Claim(name)
		if kind, _ := strictjson.String(string(value)); strings.Contains(strings.ToLower(kind), "refresh") {
			return true
		}
	}
	return false
}
