package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/strictjson"
)

// RFC7662 returns the dialect of RFC 7662: a form with the token (§2.1), and a JSON
// answer whose member active reports whether the token is active (§2.2).
func RFC7662() Dialect { return rfc7662{} }

type rfc7662 struct{}

func (rfc7662) Ask(ctx context.Context, endpoint *url.URL, token string) (*http.Request, url.Values, error) {
	return newFormRequest(ctx, endpoint, token, "application/json")
}

// newFormRequest returns the request of RFC 7662 §2.1, and its form.
func newFormRequest(ctx context.Context, endpoint *url.URL, token, accept string) (*http.Request, url.Values, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint.String(), nil)
	if err != nil {
		return nil, nil, errors.New("the endpoint is not a URL")
	}
	r.Header.Set("Accept", accept)
	// A server that honors the hint does not find a refresh token.
	return r, url.Values{"token": {token}, "token_type_hint": {"access_token"}}, nil
}

func (rfc7662) Answer(r *http.Response, body []byte) (*oauthz.Token, error) {
	if err := checkStatus(r, body); err != nil {
		return nil, err
	}
	if !fetch.IsJSON(r.Header) {
		return nil, fault(0, "the Content-Type of the answer is not JSON")
	}
	return parseAnswer(body)
}

// checkStatus returns nil for a 200, the only status of an answer about the token
// (RFC 7662 §2.2). Every other answer is about this API, so it is a fault, with one
// exception: the error that servers return for a token of a kind that they do not
// introspect is a refusal.
func checkStatus(r *http.Response, body []byte) error {
	switch r.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusBadRequest:
		members, _ := strictjson.Object(string(body)) // empty if the body is not an object
		value, _ := strictjson.Lookup(members, "error")
		if code, _ := strictjson.String(value); code == "unsupported_token_type" {
			return Refusal("the server does not introspect tokens of this kind")
		}
	}
	return requestRefused(r.StatusCode)
}

// requestRefused returns the fault for a status that is about the request or the
// credentials of this API, not about the token.
func requestRefused(status int) error {
	return fault(0, "the endpoint refuses the request or the credentials of this API (status %d)", status)
}

// parseAnswer returns the token that an answer describes (RFC 7662 §2.2). A member
// that is null counts as absent: several servers write null for a value that they do
// not have. An answer with any error of form is a fault: nothing is known of the
// token.
func parseAnswer(body []byte) (*oauthz.Token, error) {
	document := string(body)
	members, err := strictjson.Object(document)
	if err != nil {
		return nil, fault(0, "the answer is malformed: %w", err)
	}
	if strings.Contains(document, "null") {
		document, _ = strictjson.WithoutNulls(document) // the object has been checked
		members, _ = strictjson.Object(document)
		body = []byte(document)
	}
	switch active, _ := strictjson.Lookup(members, "active"); active {
	case "true":
	case "false": // regardless of the other members
		return nil, oauthz.ErrInactive
	default:
		return nil, fault(0, "the answer is malformed: active is neither true nor false")
	}
	if isRefreshToken(members) {
		return nil, Refusal("the token is a refresh token")
	}
	t, err := oauthz.ParseToken(body)
	if err != nil {
		return nil, fault(0, "the answer is malformed: %w", err)
	}
	return t, nil
}

// isRefreshToken reports whether a member names a refresh token. Servers that
// introspect refresh tokens as active mark them in one of these members.
func isRefreshToken(members []strictjson.Member) bool {
	for _, name := range []string{"token_type", "token_use", "typ"} {
		value, _ := strictjson.Lookup(members, name)
		if kind, _ := strictjson.String(value); strings.Contains(strings.ToLower(kind), "refresh") {
			return true
		}
	}
	return false
}

// Refusal returns the error with which a [Dialect] refuses a token. It wraps
// [oauthz.ErrInvalidToken]. reason must be a fixed string.
func Refusal(reason string) error { return fmt.Errorf("%w: %s", oauthz.ErrInvalidToken, reason) }

// Fault returns the error of a [Dialect] that knows nothing about the token (503). It
// wraps [oauthz.ErrUnavailable]. reason must be a fixed string, without a byte of an
// answer; status is that of the answer.
func Fault(reason string, status int) error {
	return fault(0, "%w", fmt.Errorf("%s (status %d)", reason, status))
}
