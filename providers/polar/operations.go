package polar

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/strictjson"
	"github.com/oauthz/oauthz/providers"
)

// Grant is what [Client.Token] exchanges for tokens: an [AuthorizationCode] or a
// [RefreshToken].
type Grant interface {
	form() (url.Values, error)
}

// AuthorizationCode is the grant of RFC 6749 §4.1.3.
type AuthorizationCode struct {
	_ struct{}

	// Code is the code that Polar sent to RedirectURI. Required.
	Code oauthz.Secret
	// RedirectURI is the redirect_uri of the authorization request. Required.
	RedirectURI string
	// CodeVerifier is the code_verifier of PKCE (RFC 7636 §4.5). Required if the
	// authorization request had a code_challenge.
	CodeVerifier oauthz.Secret
}

func (g AuthorizationCode) form() (url.Values, error) {
	if g.Code == "" || g.RedirectURI == "" {
		return nil, errors.New("the grant needs Code and RedirectURI")
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {string(g.Code)}, "redirect_uri": {g.RedirectURI}}
	if g.CodeVerifier != "" {
		form.Set("code_verifier", string(g.CodeVerifier))
	}
	return form, nil
}

// RefreshToken is the grant of RFC 6749 §6. The access token that was issued with
// this refresh token ends at once.
type RefreshToken struct {
	_ struct{}

	// RefreshToken is the refresh token of an earlier TokenResponse. Required.
	RefreshToken oauthz.Secret
}

func (g RefreshToken) form() (url.Values, error) {
	if !isRefreshToken(string(g.RefreshToken)) {
		return nil, errors.New("the token does not have the form of a refresh token of Polar")
	}
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {string(g.RefreshToken)}}, nil
}

// TokenResponse is a successful answer of the token endpoint (RFC 6749 §5.1).
type TokenResponse struct {
	AccessToken  oauthz.Secret
	TokenType    string        // "Bearer"
	ExpiresIn    time.Duration // zero if the answer has none
	Scopes       oauthz.Scopes
	RefreshToken oauthz.Secret // empty if there is none
	IDToken      oauthz.Secret // empty if there is none; not verified
}

// Token exchanges grant for tokens. It sends the request once, even if the answer is
// lost, because a grant can be used only once. It fails with a
// *[providers.OperationError].
func (c *Client) Token(ctx context.Context, grant Grant) (*TokenResponse, error) {
	const operation = "token"
	if grant == nil {
		return nil, failed(operation, 0, errors.New("the grant is nil"))
	}
	form, err := grant.form()
	if err != nil {
		return nil, failed(operation, 0, err)
	}
	body, err := c.api.post(ctx, operation, c.api.tokenAuth, form)
	if err != nil {
		return nil, err
	}
	tokens, err := readTokens(body)
	if err != nil {
		return nil, malformed(operation, err)
	}
	return tokens, nil
}

func readTokens(body []byte) (*TokenResponse, error) {
	a := readAnswer(body)
	tokens := &TokenResponse{
		AccessToken: oauthz.Secret(a.text("access_token")), TokenType: a.text("token_type"),
		RefreshToken: oauthz.Secret(a.optional("refresh_token")), IDToken: oauthz.Secret(a.optional("id_token")),
	}
	if a.has("expires_in") {
		tokens.ExpiresIn = a.seconds("expires_in")
	}
	scope := a.optional("scope")
	if a.err != nil {
		return nil, a.err
	}
	if !strings.EqualFold(tokens.TokenType, "Bearer") { // RFC 6749 §7.1: a client must not use it
		return nil, errors.New("member token_type: not Bearer")
	}
	scopes, err := oauthz.ParseScopes(scope)
	if err != nil {
		return nil, err
	}
	tokens.Scopes = scopes
	return tokens, nil
}

// Hint is a token_type_hint (RFC 7009 §2.1). Polar searches only tokens of that kind:
// it does not find a token of the other kind.
type Hint string

// The hints for [Client.Revoke].
const (
	// NoHint finds both kinds, and revokes the access token and the refresh token.
	NoHint Hint = ""
	// HintAccessToken finds access tokens, and revokes the access token alone.
	HintAccessToken Hint = "access_token"
	// HintRefreshToken finds refresh tokens, and revokes both.
	HintRefreshToken Hint = "refresh_token"
)

// Revoke revokes an access or a refresh token at Polar (RFC 7009). It returns nil for
// a token that Polar does not know, or that has already been revoked, and an error
// (status 400) for a token of another client. It fails with a
// *[providers.OperationError].
//
// With a [Config].Revoker, an access token is also revoked here, by its hash: even if
// Polar fails, and even if ctx has ended. The error is then the error of Polar, an
// error that matches [providers.ErrNotRecorded], or one that wraps both. Call Revoke
// again until it returns nil.
//
// A refresh token is not recorded, because no refresh token is accepted here. The
// access token that ends with it is accepted until the end of the cache's TTL: to end
// both at once, revoke the access token, with NoHint. Nothing is recorded if nothing
// is sent to Polar, because of the form of the token or because of the hint.
func (c *Client) Revoke(ctx context.Context, token oauthz.Secret, hint Hint) error {
	const operation = "revoke"
	if !isAccessToken(string(token)) && !isRefreshToken(string(token)) {
		return failed(operation, 0, errors.New("the token does not have the form of a token of Polar"))
	}
	form := url.Values{"token": {string(token)}}
	switch hint {
	case NoHint:
	case HintAccessToken, HintRefreshToken:
		form.Set("token_type_hint", string(hint))
	default: // Polar would answer 401, as for wrong credentials
		return failed(operation, 0, errors.New("the hint is not one that Polar supports"))
	}
	revoke := func(ctx context.Context) error { return c.revoke(ctx, operation, form) }
	if !isAccessToken(string(token)) { // a record of it would match no token
		return revoke(ctx)
	}
	return c.api.recorder.Revoke(ctx, operation, revoke, c.api.recorder.OfToken(string(token), c.api.keep))
}

func (c *Client) revoke(ctx context.Context, operation string, form url.Values) error {
	body, err := c.api.post(ctx, operation, c.api.basic, form)
	if err != nil {
		return err
	}
	// Polar answers {}. The HTML page of a proxy revoked nothing.
	if _, err := strictjson.Object(string(body)); err != nil {
		return malformed(operation, err)
	}
	return nil
}

// UserInfo describes the subject of an access token. A field that the scopes of the
// token do not cover is empty.
type UserInfo struct {
	Subject       string // sub: the id of the user or organization, without its kind
	Name          string // name: an organization's slug; not set for users
	Email         string // email, with scope email
	EmailVerified bool   // email_verified
}

// UserInfo returns the subject of accessToken (OpenID Connect Core §5.3). It fails
// with a *[providers.OperationError], which matches [oauthz.ErrInvalidToken] if Polar
// rejected the token.
func (c *Client) UserInfo(ctx context.Context, accessToken oauthz.Secret) (*UserInfo, error) {
	const operation = "userinfo"
	if !isAccessToken(string(accessToken)) {
		return nil, failed(operation, 0, errNotAccessToken)
	}
	r, err := providers.NewRequest(ctx, http.MethodGet, c.api.endpoint("userinfo"), accessToken, nil)
	if err != nil {
		return nil, failed(operation, 0, err)
	}
	body, err := c.api.do(ctx, operation, r)
	var refused *providers.OperationError
	if errors.As(err, &refused) && refused.Status == http.StatusUnauthorized { // here the token is the credential
		refused.Err = oauthz.ErrInvalidToken
	}
	if err != nil {
		return nil, err
	}
	a := readAnswer(body)
	info := &UserInfo{Subject: a.text("sub"), Name: a.optional("name"), Email: a.optional("email")}
	if a.has("email_verified") {
		info.EmailVerified = a.boolean("email_verified")
	}
	if a.err != nil {
		return nil, malformed(operation, a.err)
	}
	return info, nil
}
