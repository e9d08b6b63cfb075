package remote

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/jose"
)

// ClientAuth is how this API authenticates to a server (RFC 7662 §2.1). It must
// be safe for concurrent use.
type ClientAuth interface {
	// Apply adds credentials to the request or to its form, which is nil if the
	// request has none. It is called once for every request that is sent.
	Apply(ctx context.Context, r *http.Request, form url.Values) error
}

var errNoForm = errors.New("this client authentication needs a request with a form")

// auth is a ClientAuth that keeps its secrets in functions: package fmt prints
// the fields of a struct that are not exported, whatever their type would say.
type auth struct {
	apply func(ctx context.Context, r *http.Request, form url.Values) error
	check func() error // that it can be applied
}

func (a *auth) Apply(ctx context.Context, r *http.Request, form url.Values) error {
	return a.apply(ctx, r, form)
}

// Basic is client_secret_basic: id and secret are form-urlencoded before they
// are put together (RFC 6749 §2.3.1), which most servers demand as soon as one
// of them holds a special character.
func Basic(clientID string, secret oauthz.Secret) ClientAuth {
	return BasicRaw(url.QueryEscape(clientID), oauthz.Secret(url.QueryEscape(string(secret))))
}

// BasicRaw is Basic without the encoding, for servers that take it literally.
func BasicRaw(clientID string, secret oauthz.Secret) ClientAuth {
	return &auth{
		apply: func(_ context.Context, r *http.Request, _ url.Values) error {
			r.SetBasicAuth(clientID, string(secret))
			return nil
		},
		check: func() error {
			if strings.Contains(clientID, ":") { // which would end it (RFC 7617 §2)
				return errors.New("client id holds a colon, which only Basic can send")
			}
			return notEmpty(clientID, secret)
		},
	}
}

func notEmpty(clientID string, secret oauthz.Secret) error {
	if clientID == "" || secret == "" {
		return errors.New("client id or secret is empty")
	}
	return nil
}

// Post is client_secret_post: id and secret in the form (RFC 6749 §2.3.1).
func Post(clientID string, secret oauthz.Secret) ClientAuth {
	return &auth{
		apply: func(_ context.Context, _ *http.Request, form url.Values) error {
			return addTo(form, url.Values{"client_id": {clientID}, "client_secret": {string(secret)}})
		},
		check: func() error { return notEmpty(clientID, secret) },
	}
}

func addTo(form, more url.Values) error {
	if form == nil {
		return errNoForm
	}
	maps.Copy(form, more)
	return nil
}

// Bearer sends an access token of this API's own (RFC 7662 §2.1). source is
// asked for each request, and may keep and refresh one.
func Bearer(source func(ctx context.Context) (oauthz.Secret, error)) ClientAuth {
	return &auth{
		apply: func(ctx context.Context, r *http.Request, _ url.Values) error {
			token, err := source(ctx)
			if err != nil || token == "" {
				// The source's own error may quote an answer that held a secret.
				return errors.New("no bearer token to authenticate with")
			}
			r.Header.Set("Authorization", "Bearer "+string(token))
			return nil
		},
		check: func() error {
			if source == nil {
				return errors.New("bearer source is nil")
			}
			return nil
		},
	}
}

// None is no authentication but, unless it is empty, a client id in the form:
// for mutual TLS (RFC 8705 §2), whose certificate is the HTTPClient's, and for
// endpoints that only their network protects. (A self-signed certificate is
// only sent if tls.Config.GetClientCertificate returns it.)
func None(clientID string) ClientAuth {
	return &auth{
		apply: func(_ context.Context, _ *http.Request, form url.Values) error {
			if clientID == "" {
				return nil
			}
			return addTo(form, url.Values{"client_id": {clientID}})
		},
		check: func() error { return nil },
	}
}

// PrivateKey configures [PrivateKeyJWT]. It is printed, logged and encoded as the
// name of its type, except with the verbs %p and %w, for which package fmt calls
// no method and prints the fields (go vet reports both).
type PrivateKey struct {
	_ struct{}

	// ClientID is who we are. Required.
	ClientID string
	// Key signs: a private key, or one that a KMS or an HSM keeps. Required.
	Key crypto.Signer
	// Algorithm is the alg: RS256, PS256, ES256, EdDSA and so on. Required.
	Algorithm string
	// KeyID is the kid under which the server knows the key. Default: none.
	KeyID string
	// Audience is the aud that the server expects: its issuer, its token endpoint
	// or the introspection endpoint. Default: the URL that is asked.
	Audience string
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Format writes the name of the type: package fmt would print the key.
func (PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "remote.PrivateKey") }

// MarshalText returns the name of the type: encoding/json would write the key.
func (PrivateKey) MarshalText() ([]byte, error) { return []byte("remote.PrivateKey"), nil }

// PrivateKeyJWT is private_key_jwt (RFC 7523 §2.2): each request carries an
// assertion of its own, good for a minute.
func PrivateKeyJWT(key PrivateKey) ClientAuth {
	now := key.Now
	if now == nil {
		now = time.Now
	}
	sign, err := jose.Signer(key.Algorithm, key.Key)
	return assertion(key.ClientID, key.Audience, func(claims map[string]any) (string, error) {
		if err != nil {
			return "", err
		}
		return jose.Sign(key.Algorithm, key.KeyID, sign, claims)
	}, now)
}

// ClientSecretJWT is client_secret_jwt (RFC 7523 §2.2): like PrivateKeyJWT, but
// signed with the secret (HS256). audience is as in [PrivateKey].
func ClientSecretJWT(clientID string, secret oauthz.Secret, audience string) ClientAuth {
	return assertion(clientID, audience, func(claims map[string]any) (string, error) {
		if secret == "" {
			return "", errors.New("secret is empty")
		}
		return jose.Sign("HS256", "", jose.SharedSecret([]byte(secret)), claims)
	}, time.Now)
}

// assertionLife is short, for an assertion is used once and at once.
const assertionLife = time.Minute

func assertion(clientID, audience string, sign func(map[string]any) (string, error), now func() time.Time) ClientAuth {
	signed := func(aud string) (string, error) {
		issued := now().Unix()
		return sign(map[string]any{
			"iss": clientID, "sub": clientID, "aud": aud, "jti": rand.Text(),
			"iat": issued, "exp": issued + int64(assertionLife/time.Second),
		})
	}
	return &auth{
		apply: func(_ context.Context, r *http.Request, form url.Values) error {
			aud := audience
			if aud == "" {
				aud = r.URL.String()
			}
			jwt, err := signed(aud)
			if err != nil {
				return err
			}
			return addTo(form, url.Values{
				"client_id":             {clientID},
				"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
				"client_assertion":      {jwt},
			})
		},
		check: func() error {
			if clientID == "" {
				return errors.New("client id is empty")
			}
			_, err := signed("check") // finds an algorithm that is not the key's
			return err
		},
	}
}
