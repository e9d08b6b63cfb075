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

// tokenRequest is a request about one token, from an authenticated client.
type tokenRequest struct {
	client caller
	token  string
}

// readTokenRequest parses a request. It authenticates the client before it checks
// any other parameter, so that an unauthenticated caller learns nothing, not even
// which parameter is missing.
func readTokenRequest(auth ClientAuthenticator, w http.ResponseWriter, r *http.Request) (tokenRequest, error) {
	form, err := readForm(w, r)
	if err != nil {
		return tokenRequest{}, err
	}
	for name, values := range form { // RFC 6749 §3.2: an empty value counts as omitted
		if values[0] == "" {
			delete(form, name)
		}
	}
	token := form.Get("token") // before the authenticator can change the form
	client, err := authenticate(auth, r, form)
	if err != nil {
		return tokenRequest{}, err
	}
	if token == "" {
		return tokenRequest{}, badRequest("The parameter token is missing")
	}
	// token_type_hint is ignored, because it is only a hint (RFC 7662 §2.1,
	// RFC 7009 §2.1): the one introspector handles every kind of token.
	return tokenRequest{client, token}, nil
}

// tokenValidator decides whether a token is active, in the same way as a Guard.
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

// requireAnswer returns an introspector that turns an answer of next without a
// token and without an error into an error.
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

// active returns the token if it is active, and nil if it is not. An error is a
// fault.
func (v *tokenValidator) active(ctx context.Context, token string) (*oauthz.Token, error) {
	t, err := v.introspect(ctx, token)
	if err != nil {
		return nil, faultOf(err)
	}
	if t == nil || t.Expired(v.now()) {
		return nil, nil
	}
	return t, nil
}

// revocable returns the token if an API may accept it now or later, and nil if no
// API ever will. An error means that this is not known. Unlike active, revocable
// does not treat a token as dead that is refused now but may be accepted later, or
// on a replica whose clock is behind.
func (v *tokenValidator) revocable(ctx context.Context, token string) (*oauthz.Token, error) {
	t, err := v.introspect(ctx, token)
	if err != nil {
		if fault := faultOf(err); fault != nil {
			return nil, fault
		}
		if mayBeAccepted(err) {
			return nil, unavailable(err)
		}
		return nil, nil
	}
	if t == nil || !t.ExpiresAt.IsZero() && !v.now().Before(t.ExpiresAt.Add(oauthz.MaxLeeway)) {
		return nil, nil
	}
	return t, nil
}

// introspect returns the answer of the introspector. It returns nil without an
// error for a string that cannot be a token: an unknown token is not an error
// (RFC 7662 §2.2, RFC 7009 §2.2).
func (v *tokenValidator) introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	if !isTokenSyntax(token) {
		return nil, nil
	}
	return v.introspector.Introspect(ctx, token)
}

// mayBeAccepted reports whether another request may be accepted with a token that
// was refused with err: the refusal is temporary (its key is not published yet, or
// the token is not valid yet), or the token is valid and only lacks a permission.
func mayBeAccepted(err error) bool {
	var (
		temporary interface{ Temporary() bool }
		e         *oauthz.Error
	)
	return errors.As(err, &temporary) && temporary.Temporary() ||
		errors.As(err, &e) && e != nil && e.Status == http.StatusForbidden ||
		errors.Is(err, oauthz.ErrInsufficientScope) || errors.Is(err, oauthz.ErrInsufficientAuthentication)
}

// faultOf returns nil if err is a refusal, and the failure to answer with if err is
// a fault.
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

// faultOfError decides by the status, as a Guard does: with the status, an
// introspector chooses the answer.
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

// isRefreshToken reports whether the claims mark t as a refresh token. Most servers
// introspect refresh tokens as active, but a refresh token is never an access token.
func isRefreshToken(t *oauthz.Token) bool {
	for _, name := range []string{"token_type", "token_use", "typ"} {
		value, _ := t.Claim(name)
		if kind, _ := strictjson.String(string(value)); strings.Contains(strings.ToLower(kind), "refresh") {
			return true
		}
	}
	return false
}
