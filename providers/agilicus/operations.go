package agilicus

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/strictjson"
)

// RawToken is a token that Agilicus issued.
type RawToken struct {
	Token        oauthz.Secret `json:"token"`
	RefreshToken oauthz.Secret `json:"refresh_token"` // empty, unless CreateRefreshToken was set
}

func readRawToken(operation string, status int, body []byte) (*RawToken, error) {
	raw := &RawToken{}
	if err := decode(body, raw, "token"); err != nil {
		return nil, malformed(operation, status, err)
	}
	if raw.Token == "" {
		return nil, malformed(operation, status, errors.New("member token: empty"))
	}
	return raw, nil
}

// Reissue exchanges token for a token that acts for another organization, and that
// expires when token does. It fails with a *[providers.OperationError].
func (c *Client) Reissue(ctx context.Context, token oauthz.Secret, orgID string) (*RawToken, error) {
	const operation = "reissue"
	switch {
	case !isJWT(string(token)):
		return nil, failed(operation, 0, errNotJWT)
	case orgID == "":
		return nil, failed(operation, 0, errors.New("the organization is empty"))
	}
	body, err := c.api.do(ctx, call{
		operation: operation, method: http.MethodPost, path: "reissue", want: http.StatusOK,
		body: struct {
			Token string `json:"token"`
			OrgID string `json:"org_id"`
		}{string(token), orgID},
	})
	if err != nil {
		return nil, err
	}
	return readRawToken(operation, http.StatusOK, body)
}

// RevokeOptions selects further tokens to revoke.
type RevokeOptions struct {
	_ struct{}

	// AllSessions revokes all sessions of the token's user. Default: only the token.
	AllSessions bool
}

// Revoke revokes token at Agilicus. It fails with a *[providers.OperationError].
//
// With a [Config].Revoker, token is also revoked here, by its hash: even if Agilicus
// fails, and even if ctx has ended. The error is then the error of Agilicus, an error
// that matches [providers.ErrNotRecorded], or one that wraps both. Call Revoke again
// until it returns nil. Nothing is recorded if nothing is sent, because token does not
// have the form of a JWT.
//
// The record names only token, in every encoding of it ([oauthz.TokenHash]). The
// other tokens that AllSessions revokes are accepted until the end of the cache's TTL.
// To refuse them at once, call the list's Revoke with the Issuer and the Subject of
// the token that [Client.Introspect] returned.
func (c *Client) Revoke(ctx context.Context, token oauthz.Secret, options RevokeOptions) error {
	const operation = "revoke"
	if !isJWT(string(token)) {
		return failed(operation, 0, errNotJWT)
	}
	return c.api.recorder.Revoke(ctx, operation, func(ctx context.Context) error {
		_, err := c.api.do(ctx, call{
			operation: operation, method: http.MethodPost, path: "revoke", want: http.StatusNoContent,
			body: struct {
				Token       string `json:"token"`
				AllSessions bool   `json:"all_sessions,omitempty"`
			}{string(token), options.AllSessions},
		})
		return err
	}, c.api.recorder.OfToken(string(token), c.api.keep))
}

// CreateTokenRequest describes a token to be issued. Subject, Org, Audiences and
// TimeValidity are required; any other field that is zero is not sent.
type CreateTokenRequest struct {
	Subject            string            `json:"sub"`
	Org                string            `json:"org"`
	Audiences          []string          `json:"audiences"`
	TimeValidity       TimeValidity      `json:"time_validity"`
	Roles              map[string]string `json:"roles,omitempty"` // one role for each application
	Hosts              []HostPermissions `json:"hosts,omitempty"`
	TokenValidity      *TokenValidity    `json:"token_validity,omitempty"`
	Session            string            `json:"session,omitempty"`
	Scopes             []string          `json:"scopes,omitempty"`          // a scope that ends in "?" is optional
	InheritSession     *bool             `json:"inherit_session,omitempty"` // nil: true
	CreateRefreshToken bool              `json:"create_refresh_token,omitempty"`
	GetUser            bool              `json:"get_user,omitempty"`
}

// TimeValidity is how long a token is valid.
type TimeValidity struct {
	Seconds int64 `json:"duration"`
}

// TokenValidity is when a token is valid. A field that is zero is not sent.
type TokenValidity struct {
	Start         time.Time `json:"start,omitzero"`
	End           time.Time `json:"end,omitzero"`
	Seconds       int64     `json:"duration,omitempty"`
	DoesNotExpire bool      `json:"does_not_expire,omitempty"`
}

func (r *CreateTokenRequest) check() error {
	if r.Subject == "" || r.Org == "" || len(r.Audiences) == 0 || r.TimeValidity.Seconds <= 0 {
		return errors.New("the request needs Subject, Org, Audiences and TimeValidity")
	}
	return nil
}

// Create makes Agilicus issue a token. It needs [Config].BearerToken, and fails with a
// *[providers.OperationError].
func (c *Client) Create(ctx context.Context, request CreateTokenRequest) (*RawToken, error) {
	const operation = "create"
	if err := request.check(); err != nil {
		return nil, failed(operation, 0, err)
	}
	body, err := c.api.do(ctx, call{operation: operation, method: http.MethodPost, bearer: true, body: request, want: http.StatusCreated})
	if err != nil {
		return nil, err
	}
	return readRawToken(operation, http.StatusCreated, body)
}

// Validate checks request at Agilicus without issuing a token, and returns it as
// Agilicus understood it. It fails with a *[providers.OperationError], whose Status is
// 403 if Create would not fulfil the request.
func (c *Client) Validate(ctx context.Context, request CreateTokenRequest) (*CreateTokenRequest, error) {
	const operation = "validate"
	if err := request.check(); err != nil {
		return nil, failed(operation, 0, err)
	}
	body, err := c.api.do(ctx, call{
		operation: operation, method: http.MethodPost, path: "validations", body: request, want: http.StatusOK,
	})
	if err != nil {
		return nil, err
	}
	out := &CreateTokenRequest{}
	if err := decode(body, out, "sub", "org", "audiences", "time_validity"); err != nil {
		return nil, malformed(operation, http.StatusOK, err)
	}
	return out, nil
}

// ListOptions selects the tokens that [Client.List] returns. A field that is zero is
// not sent. The four times are in a form that Agilicus reads, which accepts free text.
type ListOptions struct {
	_ struct{}

	Limit                     int // default: the default of Agilicus, 100
	Subject, Org, ID, Session string
	ExpiresFrom, ExpiresTo    string
	IssuedFrom, IssuedTo      string
	Scopes                    string // % stands for any text
	Revoked                   *bool  // nil: both
}

func (o *ListOptions) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{
		"sub": o.Subject, "org": o.Org, "jti": o.ID, "session": o.Session, "scopes": o.Scopes,
		"exp_from": o.ExpiresFrom, "exp_to": o.ExpiresTo, "iat_from": o.IssuedFrom, "iat_to": o.IssuedTo,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if o.Limit != 0 {
		query.Set("limit", strconv.Itoa(o.Limit))
	}
	if o.Revoked != nil {
		query.Set("revoked", strconv.FormatBool(*o.Revoked))
	}
	return query
}

// TokenList is the answer of [Client.List].
type TokenList struct {
	Limit  int // the limit that Agilicus applied
	Tokens []Token
}

// List returns tokens that Agilicus issued. It needs [Config].BearerToken, and fails
// with a *[providers.OperationError].
func (c *Client) List(ctx context.Context, options ListOptions) (*TokenList, error) {
	const operation = "list"
	if options.Limit < 0 {
		return nil, failed(operation, 0, errors.New("the limit is negative"))
	}
	body, err := c.api.do(ctx, call{
		operation: operation, method: http.MethodGet, query: options.query(), bearer: true, want: http.StatusOK,
	})
	if err != nil {
		return nil, err
	}
	list, err := readList(string(body))
	if err != nil {
		return nil, malformed(operation, http.StatusOK, err)
	}
	return list, nil
}

func readList(body string) (*TokenList, error) {
	members, err := strictjson.Object(body)
	if err != nil {
		return nil, err
	}
	value, _ := strictjson.Lookup(members, "limit")
	limit, err := strconv.Atoi(value)
	if err != nil || limit < 0 { // the text of err would quote the value
		return nil, errors.New("member limit: missing, or not a count")
	}
	list := &TokenList{Limit: limit}
	value, ok := strictjson.Lookup(members, "tokens")
	if !ok || value == "null" {
		return list, nil
	}
	elements, err := strictjson.Array(value)
	if err != nil {
		return nil, errors.New("member tokens: not an array")
	}
	for _, element := range elements {
		_, t, err := readToken(element)
		if err != nil {
			return nil, err
		}
		list.Tokens = append(list.Tokens, *t)
	}
	return list, nil
}
