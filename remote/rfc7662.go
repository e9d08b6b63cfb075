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

// RFC7662 is the dialect of RFC 7662: a form with the token, and an answer that
// says whether it is active.
func RFC7662() Dialect { return rfc7662{} }

type rfc7662 struct{}

func (rfc7662) Ask(ctx context.Context, endpoint *url.URL, token string) (*http.Request, url.Values, error) {
	return ask(ctx, endpoint, token, "application/json")
}

func ask(ctx context.Context, endpoint *url.URL, token, accept string) (*http.Request, url.Values, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint.String(), nil)
	if err != nil {
		return nil, nil, errors.New("the endpoint is no URL")
	}
	r.Header.Set("Accept", accept)
	// The hint keeps a refresh token from being found, on the servers that heed it.
	return r, url.Values{"token": {token}, "token_type_hint": {"access_token"}}, nil
}

func (rfc7662) Answer(r *http.Response, body []byte) (*oauthz.Token, error) {
	if err := checkStatus(r, body); err != nil {
		return nil, err
	}
	if !fetch.IsJSON(r.Header) {
		return nil, fault(0, "the answer is not JSON by its content type")
	}
	return readAnswer(string(body))
}

// checkStatus: only a 200 is an answer about the token (RFC 7662 §2.2). All else
// is about us, but for one answer that servers have for tokens of a kind that
// they do not introspect.
func checkStatus(r *http.Response, body []byte) error {
	switch r.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusBadRequest:
		members, _ := strictjson.Object(string(body)) // none, if it is no object
		value, _ := strictjson.Lookup(members, "error")
		if code, _ := strictjson.String(value); code == "unsupported_token_type" {
			return Refusal("the server does not introspect tokens of this kind")
		}
	}
	return refusesUs(r.StatusCode)
}

// refusesUs is the fault of a status that is about our request.
func refusesUs(status int) error {
	return fault(0, "the endpoint refuses our request, or our credentials (status %d)", status)
}

// readAnswer reads the members of RFC 7662 §2.2. One that is null counts as
// absent: several servers write null for a value that they do not have. An answer
// that is not exactly right is a fault: nothing is known of the token.
func readAnswer(body string) (*oauthz.Token, error) {
	body, err := strictjson.WithoutNulls(body)
	if err != nil {
		return nil, fault(0, "the answer is nonsense: %w", err)
	}
	members, _ := strictjson.Object(body) // it has been checked
	switch active, _ := strictjson.Lookup(members, "active"); active {
	case "true":
	case "false": // whatever else it says
		return nil, oauthz.ErrInactive
	default:
		return nil, fault(0, "the answer is nonsense: active is neither true nor false")
	}
	if isRefresh(members) {
		return nil, Refusal("is a refresh token")
	}
	t, err := oauthz.ParseToken([]byte(body))
	if err != nil {
		return nil, fault(0, "the answer is nonsense: %w", err)
	}
	return t, nil
}

// isRefresh finds what the servers that introspect refresh tokens as active say
// of them.
func isRefresh(members []strictjson.Member) bool {
	for _, name := range []string{"token_type", "token_use", "typ"} {
		value, _ := strictjson.Lookup(members, name)
		if kind, _ := strictjson.String(value); strings.Contains(strings.ToLower(kind), "refresh") {
			return true
		}
	}
	return false
}

// Refusal is for dialects: the token must not be accepted, for this reason, a
// fixed string.
func Refusal(reason string) error { return fmt.Errorf("%w: %s", oauthz.ErrInvalidToken, reason) }

// Fault is for dialects: nothing is known of the token, for this reason, a fixed
// string and a status, never what an answer held.
func Fault(reason string, status int) error {
	return fault(0, "%w", fmt.Errorf("%s (status %d)", reason, status))
}
