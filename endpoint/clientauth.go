package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/oauthz/oauthz"
)

// ErrInvalidClient is returned by a [ClientAuthenticator] if the client sent no
// credentials or wrong ones (RFC 6749 §5.2). The answer is 401.
var ErrInvalidClient = errors.New("endpoint: invalid client")

// ClientAuthenticator authenticates the client that calls an endpoint (RFC 7662
// §2.1, RFC 7009 §2.1). [ClientSecret] and [AccessToken] return one. Implement it
// for mutual TLS (RFC 8705 §2: the certificate is in r.TLS) or for private_key_jwt
// (RFC 7523 §2.2: client_assertion is in the form). It must be safe for concurrent
// use.
type ClientAuthenticator interface {
	// Authenticate returns the id of the client that sent r. The body of r has
	// been read into form, without the parameters that have an empty value. The
	// error decides the answer:
	//
	//   - An error that wraps ErrInvalidClient: the credentials are missing or
	//     wrong; 401.
	//   - An error that wraps oauthz.ErrInvalidRequest: the credentials are
	//     malformed, or sent in more than one way; 400.
	//   - Any other error: a fault, the credentials could not be checked; 503.
	//
	// An error must not contain a secret. An empty id without an error is a
	// mistake of the implementation; 500.
	Authenticate(ctx context.Context, r *http.Request, form url.Values) (clientID string, err error)
}

// ClientAuthenticatorFunc is a function that implements [ClientAuthenticator].
type ClientAuthenticatorFunc func(ctx context.Context, r *http.Request, form url.Values) (clientID string, err error)

// Authenticate calls f.
func (f ClientAuthenticatorFunc) Authenticate(ctx context.Context, r *http.Request, form url.Values) (string, error) {
	return f(ctx, r, form)
}

// builtinAuthenticator is a ClientAuthenticator of this package. check validates
// its configuration when an endpoint is made.
type builtinAuthenticator struct {
	identify func(ctx context.Context, r *http.Request, form url.Values) (caller, error)
	check    func() error
}

// caller is a client and the issuer that assigned its id: two issuers may give the
// same id to different clients.
type caller struct {
	id     string
	issuer string // "" if not known
}

func (a *builtinAuthenticator) Authenticate(ctx context.Context, r *http.Request, form url.Values) (string, error) {
	c, err := a.identify(ctx, r, form)
	return c.id, err
}

func identify(ctx context.Context, auth ClientAuthenticator, r *http.Request, form url.Values) (c caller, err error) {
	if own, ok := auth.(*builtinAuthenticator); ok {
		return own.identify(ctx, r, form)
	}
	c.id, err = auth.Authenticate(ctx, r, form)
	return c, err
}

// ClientSecret returns a ClientAuthenticator that accepts client_secret_basic and
// client_secret_post (RFC 6749 §2.3.1). It calls check with an id and a secret,
// neither of them empty, and check returns nil if the secret is that of the client.
// Other results of check have the same meaning as for [ClientAuthenticator].
//
// To keep client ids secret, check must return ErrInvalidClient for an unknown
// client as it does for a wrong secret, and after the same time: compare with
// [crypto/subtle.ConstantTimeCompare].
func ClientSecret(check func(ctx context.Context, clientID string, secret oauthz.Secret) error) ClientAuthenticator {
	return &builtinAuthenticator{
		identify: func(ctx context.Context, r *http.Request, form url.Values) (caller, error) {
			id, secret, err := clientCredentials(r, form)
			if err != nil {
				return caller{}, err
			}
			return caller{id: id}, check(ctx, id, secret)
		},
		check: func() error {
			if check == nil {
				return errors.New("the check of ClientSecret is nil")
			}
			return nil
		},
	}
}

// clientCredentials returns the only client id and secret of a request. Credentials
// of a second kind are an error even if one of the two is valid: a client MUST NOT
// use more than one method (RFC 6749 §2.3).
func clientCredentials(r *http.Request, form url.Values) (id string, secret oauthz.Secret, err error) {
	fields := r.Header["Authorization"]
	basic, post, assertion := len(fields) > 0, form.Has("client_secret"), form.Has("client_assertion")
	switch {
	case len(fields) > 1, basic && post, assertion && (basic || post):
		return "", "", fmt.Errorf("%w: more than one method of authentication", oauthz.ErrInvalidRequest)
	case basic:
		id, secret, err = basicCredentials(r)
	case post:
		id, secret = form.Get("client_id"), oauthz.Secret(form.Get("client_secret"))
	}
	if err != nil {
		return "", "", err
	}
	if id == "" || secret == "" { // also if there are no credentials, or credentials of an unsupported kind
		return "", "", fmt.Errorf("%w: no client id and secret", ErrInvalidClient)
	}
	return id, secret, nil
}

// basicCredentials parses Basic credentials whose two halves are form-urlencoded
// (RFC 6749 §2.3.1). Halves that are not encoded are an error: used without
// decoding, they would be a different secret.
func basicCredentials(r *http.Request) (id string, secret oauthz.Secret, err error) {
	user, password, ok := r.BasicAuth()
	if !ok {
		return "", "", fmt.Errorf("%w: not Basic credentials", ErrInvalidClient)
	}
	id, idErr := url.QueryUnescape(user)
	plain, secretErr := url.QueryUnescape(password)
	if idErr != nil || secretErr != nil || !utf8.ValidString(id) || !utf8.ValidString(plain) {
		return "", "", fmt.Errorf("%w: Basic credentials are not form-urlencoded", oauthz.ErrInvalidRequest)
	}
	return id, oauthz.Secret(plain), nil
}

// AccessToken returns a ClientAuthenticator that accepts an access token of the
// client itself (RFC 7662 §2.1), if guard accepts the token and the token meets
// req. The client id is the client_id of the token. At [Revocation], if the token
// has an iss, the client may only revoke tokens of that issuer. The guard writes the
// answer to a request that it refuses.
//
// A req that every valid token meets is a mistake in the configuration: every user
// of the API could then test tokens of other users (RFC 7662 §4).
func AccessToken(guard *oauthz.Guard, req oauthz.Requirement) ClientAuthenticator {
	return &builtinAuthenticator{
		identify: func(_ context.Context, r *http.Request, form url.Values) (caller, error) {
			if form.Has("client_secret") || form.Has("client_assertion") {
				return caller{}, fmt.Errorf("%w: more than one method of authentication", oauthz.ErrInvalidRequest)
			}
			authorized, err := guard.Authorize(r, req)
			if err != nil {
				return caller{}, &guardRefusal{guard, err}
			}
			t, ok := oauthz.TokenFrom(authorized.Context())
			if !ok || t.ClientID == "" {
				return caller{}, &guardRefusal{guard, &oauthz.Error{
					Status: http.StatusForbidden, Code: "insufficient_scope", Description: "The access token does not allow this",
					Err: fmt.Errorf("%w: the token has no client_id", oauthz.ErrInsufficientScope),
				}}
			}
			return caller{t.ClientID, t.Issuer}, nil
		},
		check: func() error { return checkProtection(guard, req) },
	}
}

// guardRefusal is an error of a Guard. That Guard writes the answer.
type guardRefusal struct {
	guard *oauthz.Guard
	err   error
}

func (g *guardRefusal) Error() string { return g.err.Error() }
func (g *guardRefusal) Unwrap() error { return g.err }

// checkProtection returns an error if guard and req do not protect the endpoint.
func checkProtection(guard *oauthz.Guard, req oauthz.Requirement) error {
	switch {
	case guard == nil:
		return errors.New("the Guard is nil")
	case req.Check(nil, time.Time{}) == nil:
		return errors.New("the Requirement lets callers without a token through")
	case req.Check(new(oauthz.Token), time.Time{}) == nil:
		return errors.New("the Requirement is met by any valid token: require a scope or a claim")
	default:
		return nil
	}
}

// authenticate returns the client that sent r, or the error to answer with.
func authenticate(auth ClientAuthenticator, r *http.Request, form url.Values) (caller, error) {
	c, err := identify(r.Context(), auth, r, form)
	var refused *guardRefusal
	switch {
	case errors.As(err, &refused):
		return caller{}, err
	case errors.Is(err, ErrInvalidClient):
		return caller{}, &failure{ // a 401 needs a challenge; Basic is the scheme of clients (RFC 6749 §5.2)
			status: http.StatusUnauthorized, code: codeInvalidClient,
			header: http.Header{"Www-Authenticate": {`Basic realm="oauth"`}}, err: err,
		}
	case errors.Is(err, oauthz.ErrInvalidRequest):
		f := badRequest("The client credentials are malformed, or sent in more than one way")
		f.err = err
		return caller{}, f
	case err != nil:
		return caller{}, unavailable(err)
	case c.id == "":
		return caller{}, serverError(errors.New("the client authentication returned neither a client nor an error"))
	case form.Has("client_id") && form.Get("client_id") != c.id:
		return caller{}, badRequest("The parameter client_id names another client")
	}
	return c, nil
}
