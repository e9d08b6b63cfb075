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

// RawToken is a token that was issued.
type RawToken struct {
	Token        oauthz.Secret `json:"token"`
	RefreshToken oauthz.Secret `json:"refresh_token"` // empty, unless CreateRefreshToken asked for one
}

func readRawToken(operation string, status int, body []byte) (*RawToken, error) {
	raw := &RawToken{}
	if err := decode(body, raw, "token"); err != nil {
		return nil, nonsense(operation, status, err)
	}
	if raw.Token == "" {
		return nil, nonsense(operation, status, errors.New("member token: empty"))
	}
	return raw, nil
}

// Reissue exchanges token for one that acts for another organization, and ends
// when token does. It fails with a *[providers.OperationError].
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
		in: struct {
			Token string `json:"token"`
			OrgID string `json:"org_id"`
		}{string(token), orgID},
	})
	if err != nil {
		return nil, err
	}
	return readRawToken(operation, http.StatusOK, body)
}

// RevokeOptions says what goes with a token.
type RevokeOptions struct {
	_ struct{}

	// AllSessions revokes all sessions of the token's user. Default: the token alone.
	AllSessions bool
}

// Revoke revokes token. It fails with a *[providers.OperationError].
//
// With a [Config].Revoker, token is also revoked here, by its hash: also if
// Agilicus fails, and if ctx is over. An error is then that of Agilicus, one that
// matches [providers.ErrNotRecorded], or both joined; call it again until there is
// none. Nothing is recorded of what is not sent because it is no JWT.
//
// The record names this one token, in every encoding of it ([oauthz.TokenHash]).
// The tokens that go with AllSessions are accepted until the end of the cache's
// TTL. To refuse those at once, have the list revoke the Issuer with the Subject
// of what [Client.Introspect] returned.
func (c *Client) Revoke(ctx context.Context, token oauthz.Secret, options RevokeOptions) error {
	const operation = "revoke"
	if !isJWT(string(token)) {
		return failed(operation, 0, errNotJWT)
	}
	return c.api.recorder.Revoke(ctx, operation, func(ctx context.Context) error {
		_, err := c.api.do(ctx, call{
			operation: operation, method: http.MethodPost, path: "revoke", want: http.StatusNoContent,
			in: struct {
				Token       string `json:"token"`
				AllSessions bool   `json:"all_sessions,omitempty"`
			}{string(token), options.AllSessions},
		})
		return err
	}, c.api.recorder.OfToken(string(token), c.api.keep))
}

// CreateTokenRequest describes a token to be issued. Subject, Org, Audiences and
// TimeValidity are required; what else is zero is not sent.
type CreateTokenRequest struct {
	Subject            string            `json:"sub"`
	Org                string            `json:"org"`
	Audiences          []string          `json:"audiences"`
	TimeValidity       TimeValidity      `json:"time_validity"`
	Roles              map[string]string `json:"roles,omitempty"` // one role for each application
	Hosts              []HostPermissions `json:"hosts,omitempty"`
	TokenValidity      *TokenValidity    `json:"token_validity,omitempty"`
	Session            string            `json:"session,omitempty"`
	Scopes             []string          `json:"scopes,omitempty"`          // one that ends in "?" is optional
	InheritSession     *bool             `json:"inherit_session,omitempty"` // nil: true
	CreateRefreshToken bool              `json:"create_refresh_token,omitempty"`
	GetUser            bool              `json:"get_user,omitempty"`
}

// TimeValidity is how long a token is good.
type TimeValidity struct {
	Seconds int64 `json:"duration"`
}

// TokenValidity is from when to when a token is good. What is zero is not sent.
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

// Create has a token issued. It needs [Config].BearerToken, and fails with a
// *[providers.OperationError].
func (c *Client) Create(ctx context.Context, request CreateTokenRequest) (*RawToken, error) {
	const operation = "create"
	if err := request.check(); err != nil {
		return nil, failed(operation, 0, err)
	}
	body, err := c.api.do(ctx, call{operation: operation, method: http.MethodPost, bearer: true, in: request, want: http.StatusCreated})
	if err != nil {
		return nil, err
	}
	return readRawToken(operation, http.StatusCreated, body)
}

// Validate asks whether request could be fulfilled, and returns it as Agilicus
// understood it. It fails with a *[providers.OperationError]; Status 403 in it: the
// request could not be fulfilled.
func (c *Client) Validate(ctx context.Context, request CreateTokenRequest) (*CreateTokenRequest, error) {
	const operation = "validate"
	if err := request.check(); err != nil {
		return nil, failed(operation, 0, err)
	}
	body, err := c.api.do(ctx, call{
		operation: operation, method: http.MethodPost, path: "validations", in: request, want: http.StatusOK,
	})
	if err != nil {
		return nil, err
	}
	out := &CreateTokenRequest{}
	if err := decode(body, out, "sub", "org", "audiences", "time_validity"); err != nil {
		return nil, nonsense(operation, http.StatusOK, err)
	}
	return out, nil
}

// ListOptions says which tokens [Client.List] returns. What is zero is not asked
// for. The four times are in the words of Agilicus, which takes free text.
type ListOptions struct {
	_ struct{}

	Limit                     int // default: Agilicus's own, 100
	Subject, Org, ID, Session string
	ExpiresFrom, ExpiresTo    string
	IssuedFrom, IssuedTo      string
	Scopes                    string // with % for any text
	Revoked                   *bool  // nil: whether or not
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

// TokenList is what [Client.List] returns.
type TokenList struct {
	Limit  int // as many as there could have been
	Tokens []Token
}

// List returns tokens that were issued. It needs [Config].BearerToken, and fails
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
		return nil, nonsense(operation, http.StatusOK, err)
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
	if err != nil || limit < 0 { // whose text would quote the value
		return nil, errors.New("member limit: missing, or no count")
	}
	list := &TokenList{Limit: limit}
	value, ok := strictjson.Lookup(members, "tokens")
	if !ok || value == "null" {
		return list, nil
	}
	elements, err := strictjson.Array(value)
	if err != nil {
		return nil, errors.New("member tokens: no array")
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
