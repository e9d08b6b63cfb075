package gusto

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/strictjson"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/remote"
)

// The operations, as Gusto calls them.
const (
	opTokenInfo  = "token_info"
	opRevoke     = "revoke"
	opRefresh    = "refresh_access_token"
	opDisconnect = "disconnect_app_integration"
)

// failed is an operation's error. The status is 0 if there was no answer.
func failed(operation string, status int, err error) *providers.OperationError {
	return &providers.OperationError{Vendor: "gusto", Operation: operation, Status: status, Err: err}
}

func noCredential(operation, what string) error {
	return failed(operation, 0, fmt.Errorf("%w: %s", providers.ErrNoCredential, what))
}

// TokenInfo returns what Gusto says of token, as it says it. It fails with a
// *[providers.OperationError]; if that matches oauthz.ErrInvalidToken, the token is
// dead.
func (c *Client) TokenInfo(ctx context.Context, token string) (*TokenInfo, error) {
	if err := checkToken(opTokenInfo, token); err != nil {
		return nil, err
	}
	answer, err := c.call(ctx, opTokenInfo, http.MethodGet, tokenInfoPath, token, nil)
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		return nil, c.refused(opTokenInfo, answer)
	}
	info, err := readTokenInfo(answer.Header, answer.Body)
	if err != nil {
		return nil, failed(opTokenInfo, answer.Status, err)
	}
	return info, nil
}

// Revoke ends an access token and its refresh token. It needs ClientID and
// ClientSecret, and the token must be one of that application. Gusto says the
// same of a token that it does not know. It fails with a *[providers.OperationError],
// which matches [providers.ErrNoCredential] if the Config has no client.
//
// With a [Config].Revoker, the token is also revoked here, by its hash, until no
// verdict on it can be left: also if Gusto fails, and if ctx is over. An error is
// then that of Gusto, one that matches [providers.ErrNotRecorded], or both joined;
// call it again until there is none. Nothing is recorded of what is not sent to
// Gusto because it is no token, or because there is no client.
func (c *Client) Revoke(ctx context.Context, token string) error {
	if err := c.needClient(opRevoke); err != nil {
		return err
	}
	if err := checkToken(opRevoke, token); err != nil {
		return err
	}
	return c.recorder().Revoke(ctx, opRevoke, func(ctx context.Context) error {
		return c.revoke(ctx, token)
	}, c.recorder().OfToken(token, keepToken))
}

func (c *Client) revoke(ctx context.Context, token string) error {
	answer, err := c.call(ctx, opRevoke, http.MethodPost, "/oauth/revoke", "", map[string]string{
		"client_id": c.cfg.ClientID, "client_secret": c.secret(), "token": token,
	})
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return c.refused(opRevoke, answer)
	}
	// No body is documented, but the page of some proxy is no success.
	if isPage(answer.Body) {
		return failed(opRevoke, answer.Status, errNotJSON)
	}
	return nil
}

// Authentication is a pair of tokens that Gusto issued.
type Authentication struct {
	AccessToken  oauthz.Secret
	RefreshToken oauthz.Secret // "" if there is none
	TokenType    string        // "Bearer", however Gusto writes it; "" if it does not say
	Scopes       oauthz.Scopes
	CreatedAt    time.Time     // zero if Gusto does not say, or not so that it can be read
	ExpiresIn    time.Duration // from CreatedAt; zero if Gusto does not say
}

// Refresh exchanges a refresh token for new tokens. It needs ClientID and
// ClientSecret. The old refresh token dies when the new access token is first
// used: keep the answer before using it. It fails as Revoke does.
func (c *Client) Refresh(ctx context.Context, refreshToken oauthz.Secret) (*Authentication, error) {
	if err := c.needClient(opRefresh); err != nil {
		return nil, err
	}
	if err := checkToken(opRefresh, string(refreshToken)); err != nil {
		return nil, err
	}
	body := map[string]string{
		"client_id": c.cfg.ClientID, "client_secret": c.secret(),
		"grant_type": "refresh_token", "refresh_token": string(refreshToken),
	}
	if c.cfg.RedirectURI != "" {
		body["redirect_uri"] = c.cfg.RedirectURI
	}
	answer, err := c.call(ctx, opRefresh, http.MethodPost, "/oauth/token", "", body)
	if err != nil {
		return nil, err
	}
	if answer.Status != http.StatusOK {
		return nil, c.refused(opRefresh, answer)
	}
	authentication, err := readAuthentication(answer)
	if err != nil {
		return nil, failed(opRefresh, answer.Status, err)
	}
	return authentication, nil
}

// DisconnectAppIntegration disconnects the application from a company. It needs
// a system access token with the scope companies:disconnect_app_integration. All
// tokens of the company's users for the application die, of which a server that
// they are presented to learns nothing but by asking again. It fails with a
// *[providers.OperationError].
//
// With a [Config].Revoker, all tokens whose Tenant is Company/companyID are also
// revoked here for two hours, which is how long an access token lives; errors are
// as for Revoke. That Gusto fails changes nothing here, not even if it does not
// know the company; if it goes on failing, tokens are accepted again after that
// time. Since Gusto does not say when a token was issued, tokens that a company
// has from connecting again within the two hours (and the [oauthz.MaxLeeway] that
// an entry is kept longer) are refused until then, too.
func (c *Client) DisconnectAppIntegration(ctx context.Context, systemToken oauthz.Secret, companyID string) error {
	if err := checkToken(opDisconnect, string(systemToken)); err != nil {
		return err
	}
	if companyID == "" || companyID == "." || companyID == ".." { // which no escaping keeps from meaning another path
		return failed(opDisconnect, 0, errors.New("the company id is empty or is no id"))
	}
	return c.recorder().Revoke(ctx, opDisconnect, func(ctx context.Context) error {
		return c.disconnect(ctx, systemToken, companyID)
	}, c.ofCompany(companyID)...)
}

func (c *Client) disconnect(ctx context.Context, systemToken oauthz.Secret, companyID string) error {
	path := "/v1/companies/" + url.PathEscape(companyID) + "/disconnect_app_integration"
	answer, err := c.call(ctx, opDisconnect, http.MethodPost, path, string(systemToken), nil)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusNoContent {
		return c.refused(opDisconnect, answer)
	}
	return nil
}

// How long a revocation is kept. A token that Gusto failed to revoke may be asked
// about, and remembered, as long as it lives, and the verdict stands for as long
// again (see Answer). A company is either disconnected, and then all that is
// remembered ends within one lifetime, or it goes on to get new tokens.
const (
	keepToken   = 2 * lifetime
	keepCompany = lifetime
)

// ofCompany revokes by the id as it was given, for that may come from a Tenant,
// and in lower case, as Gusto writes a UUID (RFC 9562 §4) that others do not.
func (c *Client) ofCompany(id string) []oauthz.Revocation {
	ids := []string{id}
	if lower := strings.ToLower(id); lower != id {
		ids = append(ids, lower)
	}
	now := c.cfg.Now()
	revs := make([]oauthz.Revocation, len(ids))
	for i, id := range ids {
		company := Entity{Type: "Company", UUID: id}
		revs[i] = oauthz.Revocation{
			Match:       map[string]any{"iss": c.recorder().Issuer, oauthz.MatchTenant: company.String()},
			IssuedUntil: now, Expires: now.Add(keepCompany),
		}
	}
	return revs
}

func (c *Client) needClient(operation string) error {
	if c.cfg.ClientID == "" {
		return noCredential(operation, "Config has no ClientID and ClientSecret")
	}
	return nil
}

// checkToken keeps from Gusto what is no token of its.
func checkToken(operation, token string) error {
	switch {
	case token == "":
		return noCredential(operation, "the token is empty")
	case !recognize(token):
		return failed(operation, 0, oauthz.ErrUnrecognized)
	default:
		return nil
	}
}

// call sends one request, once: not all of them can be sent twice.
func (c *Client) call(ctx context.Context, operation, method, path, bearer string, body map[string]string) (*fetch.Response, error) {
	r, err := c.request(ctx, method, c.cfg.BaseURL+path, bearer, body)
	if err != nil {
		return nil, failed(operation, 0, err)
	}
	answer, err := c.http.Do(ctx, r)
	if err != nil {
		return nil, failed(operation, 0, fmt.Errorf("%w: %w", oauthz.ErrUnavailable, err))
	}
	return answer, nil
}

// request makes a request whose credentials are the bearer or the body, and
// nothing else.
func (c *Client) request(ctx context.Context, method, place, bearer string, body map[string]string) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		encoded, _ := json.Marshal(body) // strings always marshal
		content = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, method, place, content)
	if err != nil {
		return nil, errors.New("the URL is none") // err quotes it
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("X-Gusto-API-Version", c.cfg.APIVersion)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	return r, nil
}

// refused is the error for a status that is no success.
func (c *Client) refused(operation string, answer *fetch.Response) error {
	e := failed(operation, answer.Status, nil)
	switch {
	case answer.Status == http.StatusUnauthorized && operation == opTokenInfo:
		e.Err = oauthz.ErrInactive
	case answer.Status == http.StatusTooManyRequests || answer.Status >= 500:
		e.Err = oauthz.ErrUnavailable
		e.RetryAfter, _ = answer.RetryAfter(c.cfg.Now())
	}
	return e
}

func readAuthentication(answer *fetch.Response) (*Authentication, error) {
	members, err := readObject(answer.Header, answer.Body)
	if err != nil {
		return nil, err
	}
	text := func(name string) string {
		value, ok := strictjson.Lookup(members, name)
		if !ok || value == "null" {
			return ""
		}
		s, typeErr := strictjson.String(value)
		if typeErr != nil {
			err = errNonsense
		}
		return s
	}
	a := &Authentication{
		AccessToken: oauthz.Secret(text("access_token")), RefreshToken: oauthz.Secret(text("refresh_token")), TokenType: text("token_type"),
	}
	if text("scope") != "" {
		scope, _ := strictjson.Lookup(members, "scope")
		a.Scopes = readScopes(scope)
	}
	if err != nil || !remote.VisibleASCII(string(a.AccessToken)) {
		return nil, errNonsense
	}
	// A token of another type is not to be used as this one (RFC 6749 §7.1).
	if strings.EqualFold(a.TokenType, "Bearer") {
		a.TokenType = "Bearer"
	} else if a.TokenType != "" {
		return nil, errNonsense
	}
	if a.ExpiresIn, err = readSeconds(members); err != nil {
		return nil, err
	}
	a.CreatedAt, err = readCreatedAt(members)
	return a, err
}

func readSeconds(members []strictjson.Member) (time.Duration, error) {
	value, ok := strictjson.Lookup(members, "expires_in")
	if !ok || value == "null" {
		return 0, nil
	}
	seconds, err := strictjson.Number(value)
	if err != nil || seconds < 0 || seconds > math.MaxInt32 {
		return 0, errNonsense
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// readCreatedAt reads seconds since 1970 as a number, and, since it was once
// said to be a string, as one of those too; or a date. A string that it cannot
// read is no reason to lose the tokens beside it.
func readCreatedAt(members []strictjson.Member) (time.Time, error) {
	value, ok := strictjson.Lookup(members, "created_at")
	if !ok || value == "null" {
		return time.Time{}, nil
	}
	s, err := strictjson.String(value)
	if err != nil {
		at, err := strictjson.NumericDate(value)
		if err != nil {
			return time.Time{}, errNonsense
		}
		return at, nil
	}
	if _, err := strconv.ParseUint(s, 10, 63); err == nil {
		at, _ := strictjson.NumericDate(s) // zero if it is out of range
		return at, nil
	}
	at, _ := time.Parse(time.RFC3339, s)
	return at, nil
}
