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

// ErrInvalidClient says that the caller did not authenticate, or not well
// (RFC 6749 §5.2): it is answered with 401.
var ErrInvalidClient = errors.New("endpoint: invalid client")

// ClientAuth authenticates the caller of an endpoint (RFC 7662 §2.1, RFC 7009
// §2.1). [ClientSecret] and [Bearer] are ready-made; implement it for mutual TLS
// (RFC 8705 §2: the certificate is in r.TLS) or for private_key_jwt (RFC 7523
// §2.2: client_assertion is in the form). It must be safe for concurrent use.
type ClientAuthenticator interface {
	// Authenticate returns the id of the client that sent r, whose body has been
	// read into form, without the parameters that have no value. Errors mean:
	//
	//   - One that wraps ErrInvalidClient: the client is not who it says, or
	//     says nothing: 401.
	//   - One that wraps oauthz.ErrInvalidRequest: its credentials are malformed,
	//     or sent in more than one way: 400.
	//   - Any other: a fault, and nothing is known of the client: 503.
	//
	// An error never holds a secret. No id and no error is a mistake: 500.
	Authenticate(ctx context.Context, r *http.Request, form url.Values) (clientID string, err error)
}

// ClientAuthFunc is a function that is a [ClientAuth].
type ClientAuthenticatorFunc func(ctx context.Context, r *http.Request, form url.Values) (clientID string, err error)

// Authenticate calls f.
func (f ClientAuthenticatorFunc) Authenticate(ctx context.Context, r *http.Request, form url.Values) (string, error) {
	return f(ctx, r, form)
}

// clientAuth is a ClientAuth of this package, which can be checked beforehand.
type builtinAuthenticator struct {
	identify func(ctx context.Context, r *http.Request, form url.Values) (caller, error)
	check    func() error
}

// caller is a client, and where it is known by its id: clients of two issuers may
// have the same.
type caller struct {
	id     string
	issuer string // "" if nobody said
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

// ClientSecret takes client_secret_basic and client_secret_post (RFC 6749
// §2.3.1), and has check say whether the secret is that of the client. Its
// errors mean what those of [ClientAuth] do: ErrInvalidClient for a client that
// is not known just as for a secret that is wrong, and in the same time: compare
// with [crypto/subtle.ConstantTimeCompare]. Neither id nor secret is ever empty.
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

// secretOf finds the one secret of a request. That there is another kind of
// credentials beside it is an error, whichever of them is good: a client MUST
// NOT use more than one method (RFC 6749 §2.3).
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
	if id == "" || secret == "" { // none at all, too, or of a kind that is not taken
		return "", "", fmt.Errorf("%w: no client id and secret", ErrInvalidClient)
	}
	return id, secret, nil
}

// basicOf reads credentials whose two halves are form-urlencoded (RFC 6749
// §2.3.1). What is not so is said to be malformed: taken as it stands, it would
// be another secret.
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

// Bearer takes an access token of the caller's own (RFC 7662 §2.1) that guard
// lets through and that meets req; the client is the token's client_id, and at
// [Revocation] one of the token's iss alone, if it has one. What is refused, the
// guard tells.
//
// A req that every valid token meets is a mistake: each user of the API could
// try tokens of others (RFC 7662 §4).
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

// guardRefusal is what a Guard refused, and it tells the client itself.
type guardRefusal struct {
	guard *oauthz.Guard
	err   error
}

func (g *guardRefusal) Error() string { return g.err.Error() }
func (g *guardRefusal) Unwrap() error { return g.err }

// checkProtection refuses what protects nothing.
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

// authenticate returns the client that sent r, or how it is refused.
func authenticate(auth ClientAuthenticator, r *http.Request, form url.Values) (caller, error) {
	c, err := identify(r.Context(), auth, r, form)
	var refused *guardRefusal
	switch {
	case errors.As(err, &refused):
		return caller{}, err
	case errors.Is(err, ErrInvalidClient):
		return caller{}, &failure{ // a 401 has a challenge, and this is the scheme that clients have here (RFC 6749 §5.2)
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
