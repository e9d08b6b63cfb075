package peers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
)

// An answer has the usual members of an introspection response (RFC 7662 §2.2).
type answer struct {
	Active   bool     `json:"active"`
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	Scope    string   `json:"scope"`
	Expires  int64    `json:"exp"`
}

// An audience is a string or an array of them (RFC 7519 §4.1.3).
type audience []string

// UnmarshalJSON takes either.
func (a *audience) UnmarshalJSON(data []byte) error {
	var one string
	if err := json.Unmarshal(data, &one); err == nil {
		*a = audience{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(a))
}

var errInactive = errors.New("inactive, or not for this API")

// introspect is the usual hand-written introspection: a form, Basic, and the response decoded into a struct.
func introspect(ctx context.Context, is Issuer, token string) (*answer, error) {
	form := url.Values{"token": {token}, "token_type_hint": {"access_token"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, is.IntrospectionURL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(is.ClientID, is.ClientSecret)
	response, err := is.HTTPClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("introspection: status %d", response.StatusCode)
	}
	var a answer
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		return nil, fmt.Errorf("introspection: %w", err)
	}
	if !a.Active || a.Issuer != is.URL || !slices.Contains(a.Audience, is.Audience) || time.Now().Unix() >= a.Expires {
		return nil, errInactive
	}
	return &a, nil
}

type answerKey struct{}

func protectOpaqueByHand(_ context.Context, is Issuer, next Handler) (http.Handler, error) {
	route := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, _ := r.Context().Value(answerKey{}).(*answer)
		next(w, r, a.Subject)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, found := bearer(r)
		if !found {
			unauthorized(w)
			return
		}
		a, err := introspect(r.Context(), is, token)
		if err != nil {
			unauthorized(w)
			return
		}
		if !allows(a.Scope, is.Scope) {
			forbidden(w)
			return
		}
		route.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), answerKey{}, a)))
	}), nil
}

// protectOpaqueMCP has the hand-written introspection for its verifier: the SDK has none.
func protectOpaqueMCP(_ context.Context, is Issuer, next Handler) (http.Handler, error) {
	return requireBearerToken(is, next, func(ctx context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		a, err := introspect(ctx, is, token)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", auth.ErrInvalidToken, err)
		}
		return tokenInfo(a.Subject, a.Scope, time.Unix(a.Expires, 0)), nil
	}), nil
}

func requireBearerToken(is Issuer, next Handler, verify auth.TokenVerifier) http.Handler {
	require := auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{Scopes: []string{is.Scope}})
	return require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next(w, r, auth.TokenInfoFromContext(r.Context()).UserID)
	}))
}

func tokenInfo(subject, scope string, expires time.Time) *auth.TokenInfo {
	return &auth.TokenInfo{UserID: subject, Scopes: strings.Fields(scope), Expiration: expires}
}
