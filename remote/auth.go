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

// ClientAuth authenticates this API to a server (RFC 7662 §2.1). It must be safe for
// concurrent use.
type ClientAuth interface {
	// Apply adds credentials to the request or to its form, which is nil if the
	// request has none. It is called once for each request that is sent.
	Apply(ctx context.Context, r *http.Request, form url.Values) error
}

var errNoForm = errors.New("this client authentication needs a request with a form")

// auth is a ClientAuth that keeps its secrets in closures. Package fmt prints
// unexported fields without calling the Format or String method of their type.
type auth struct {
	apply func(ctx context.Context, r *http.Request, form url.Values) error
	check func() error // reports a mistake in the configuration of apply
}

func (a *auth) Apply(ctx context.Context, r *http.Request, form url.Values) error {
	return a.apply(ctx, r, form)
}

// Basic returns a ClientAuth for client_secret_basic (RFC 6749 §2.3.1). The client
// id and the secret are form-urlencoded before they are joined, as the RFC
// requires. Most servers reject a special character that is not encoded.
func Basic(clientID string, secret oauthz.Secret) ClientAuth {
	return BasicRaw(url.QueryEscape(clientID), oauthz.Secret(url.QueryEscape(string(secret))))
}

// BasicRaw returns the ClientAuth of [Basic] without the encoding, for servers that
// do not decode the client id and the secret.
func BasicRaw(clientID string, secret oauthz.Secret) ClientAuth {
	return &auth{
		apply: func(_ context.Context, r *http.Request, _ url.Values) error {
			r.SetBasicAuth(clientID, string(secret))
			return nil
		},
		check: func() error {
			if strings.Contains(clientID, ":") { // a colon ends the user id (RFC 7617 §2)
				return errors.New("client id holds a colon: use Basic, which encodes it")
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

// Post returns a ClientAuth for client_secret_post: the client id and the secret are
// fields of the form (RFC 6749 §2.3.1).
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

// Bearer returns a ClientAuth that sends an access token of this API itself (RFC
// 7662 §2.1). source is called for each request; it may store the token and refresh
// it.
func Bearer(source func(ctx context.Context) (oauthz.Secret, error)) ClientAuth {
	return &auth{
		apply: func(ctx context.Context, r *http.Request, _ url.Values) error {
			token, err := source(ctx)
			if err != nil || token == "" {
				// The error of source may quote an answer that holds a secret.
				return errors.New("the bearer source returned no token")
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

// None returns a ClientAuth that adds no credentials. It adds only the client id to
// the form, unless clientID is empty. Use it for mutual TLS (RFC 8705 §2), where
// the certificate belongs to Config.HTTPClient, and for endpoints that only their
// network protects. (A self-signed certificate is sent only if
// tls.Config.GetClientCertificate returns it.)
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
// name of its type. The exceptions are the verbs %p and %w: for these, package fmt
// calls no method and prints the fields (go vet reports both).
type PrivateKey struct {
	_ struct{}

	// ClientID is the client id of this API. Required.
	ClientID string
	// Key signs the assertions: a private key, or a signer whose key is in a KMS or
	// an HSM. Required.
	Key crypto.Signer
	// Algorithm is the alg of the assertions: RS256, PS256, ES256, EdDSA and so on
	// (RFC 7518 §3.1, RFC 8037 §3.1). Required.
	Algorithm string
	// KeyID is the kid of the key at the server. Default: no kid.
	KeyID string
	// Audience is the aud that the server expects: its issuer, its token endpoint
	// or the introspection endpoint. Default: the URL of the request.
	Audience string
	// Now returns the current time. Default: time.Now.
	Now func() time.Time
}

// Format writes the name of the type: package fmt would print the key.
func (PrivateKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "remote.PrivateKey") }

// MarshalText returns the name of the type: encoding/json would write the key.
func (PrivateKey) MarshalText() ([]byte, error) { return []byte("remote.PrivateKey"), nil }

// PrivateKeyJWT returns a ClientAuth for private_key_jwt (RFC 7523 §2.2). Each
// request carries a new assertion, which is valid for one minute.
func PrivateKeyJWT(key PrivateKey) ClientAuth {
	now := key.Now
	if now == nil {
		now = time.Now
	}
	sign, err := jose.Signer(key.Algorithm, key.Key)
	return assertion(key.ClientID, key.Audience, func(claims map[string]any) (string, error) {
		switch {
		case key.Key == nil:
			return "", errors.New("PrivateKey.Key is nil")
		case err != nil:
			return "", fmt.Errorf("PrivateKey.Key cannot sign with PrivateKey.Algorithm %q", key.Algorithm)
		}
		return jose.Sign(key.Algorithm, key.KeyID, sign, claims)
	}, now)
}

// ClientSecretJWT returns a ClientAuth for client_secret_jwt (RFC 7523 §2.2). It is
// like [PrivateKeyJWT], but signs with the secret (HS256). audience is as in
// [PrivateKey].
func ClientSecretJWT(clientID string, secret oauthz.Secret, audience string) ClientAuth {
	return assertion(clientID, audience, func(claims map[string]any) (string, error) {
		if secret == "" {
			return "", errors.New("secret is empty")
		}
		return jose.Sign("HS256", "", jose.SharedSecret([]byte(secret)), claims)
	}, time.Now)
}

// assertionLifetime is short, because an assertion is used once and at once.
const assertionLifetime = time.Minute

func assertion(clientID, audience string, sign func(map[string]any) (string, error), now func() time.Time) ClientAuth {
	signed := func(aud string) (string, error) {
		issued := now().Unix()
		return sign(map[string]any{
			"iss": clientID, "sub": clientID, "aud": aud, "jti": rand.Text(),
			"iat": issued, "exp": issued + int64(assertionLifetime/time.Second),
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
			_, err := signed("check") // finds an algorithm that does not fit the key
			return err
		},
	}
}
