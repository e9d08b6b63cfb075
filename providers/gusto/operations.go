package gusto

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers"
)

const vendor = "gusto"

// The operations, by their names in the API of Gusto.
const (
	opTokenInfo  = "token_info"
	opRevoke     = "revoke"
	opRefresh    = "refresh_access_token"
	opDisconnect = "disconnect_app_integration"
)

// failed returns the error of an operation. Without an answer, status is 0.
func failed(operation string, status int, err error) *providers.OperationError {
	return &providers.OperationError{Vendor: vendor, Operation: operation, Status: status, Err: err}
}

func noCredential(operation, reason string) error {
	return failed(operation, 0, fmt.Errorf("%w: %s", providers.ErrNoCredential, reason))
}

// Revoke revokes an access token and its refresh token at Gusto. It needs ClientID
// and ClientSecret, and the token must have been issued to that application. Gusto
// gives the same answer for a token that it does not know. Revoke fails with a
// *[providers.OperationError], which matches [providers.ErrNoCredential] if the
// Config has no client.
//
// With a [Config].Revoker, the token is also revoked here, by its hash, until no
// verdict about it can remain: even if Gusto fails, and even if ctx has ended. The
// error is then the error of Gusto, an error that matches
// [providers.ErrNotRecorded], or one that wraps both. Call Revoke again until it
// returns nil. Nothing is recorded if nothing is sent to Gusto, because the token
// cannot be a token of Gusto or because the Config has no client.
func (c *Client) Revoke(ctx context.Context, token string) error {
	if err := c.checkClient(opRevoke); err != nil {
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
	_, body, err := c.call(ctx, request{
		operation: opRevoke, method: http.MethodPost, path: "/oauth/revoke", want: http.StatusOK,
		body: map[string]string{"client_id": c.cfg.ClientID, "client_secret": c.secret(), "token": token},
	})
	if err != nil {
		return err
	}
	// The documentation names no body, but the HTML page of a proxy revoked nothing.
	if isPage(body) {
		return failed(opRevoke, http.StatusOK, errNotJSON)
	}
	return nil
}

// Authentication is a pair of tokens that Gusto issued.
type Authentication struct {
	AccessToken  oauthz.Secret
	RefreshToken oauthz.Secret // "" if there is none
	TokenType    string        // "Bearer", in any case in the answer; "" if the answer has none
	Scopes       oauthz.Scopes
	CreatedAt    time.Time     // zero if the answer has none that can be read
	ExpiresIn    time.Duration // from CreatedAt; zero if the answer has none
}

// Refresh exchanges a refresh token for new tokens. It needs ClientID and
// ClientSecret. The old refresh token ends when the new access token is first used:
// store the new tokens before you use them. Refresh fails with a
// *[providers.OperationError], which matches [providers.ErrNoCredential] if the
// Config has no client.
func (c *Client) Refresh(ctx context.Context, refreshToken oauthz.Secret) (*Authentication, error) {
	if err := c.checkClient(opRefresh); err != nil {
		return nil, err
	}
	if err := checkToken(opRefresh, string(refreshToken)); err != nil {
		return nil, err
	}
	fields := map[string]string{
		"client_id": c.cfg.ClientID, "client_secret": c.secret(),
		"grant_type": "refresh_token", "refresh_token": string(refreshToken),
	}
	if c.cfg.RedirectURI != "" {
		fields["redirect_uri"] = c.cfg.RedirectURI
	}
	header, body, err := c.call(ctx, request{
		operation: opRefresh, method: http.MethodPost, path: "/oauth/token", body: fields, want: http.StatusOK,
	})
	if err != nil {
		return nil, err
	}
	authentication, err := readAuthentication(header, body)
	if err != nil {
		return nil, failed(opRefresh, http.StatusOK, err)
	}
	return authentication, nil
}

// DisconnectAppIntegration disconnects the application from a company. It needs a
// system access token with the scope companies:disconnect_app_integration. Gusto then
// ends all tokens that the company's users have for the application; an API learns
// this only when it introspects such a token again. It fails with a
// *[providers.OperationError].
//
// With a [Config].Revoker, all tokens whose Tenant is Company/companyID are also
// revoked here for two hours, which is the lifetime of an access token. The errors
// are those of Revoke. The tokens are revoked here even if Gusto fails, also if it
// does not know the company; if Gusto still fails after the two hours, the tokens are
// accepted again. Gusto does not send the time when a token was issued. So if a
// company connects again within the two hours (and the [oauthz.MaxLeeway] that an
// entry is kept longer), its new tokens are refused until then, too.
func (c *Client) DisconnectAppIntegration(ctx context.Context, systemToken oauthz.Secret, companyID string) error {
	if err := checkToken(opDisconnect, string(systemToken)); err != nil {
		return err
	}
	if companyID == "" || companyID == "." || companyID == ".." { // escaping would not keep these out of the path
		return failed(opDisconnect, 0, errors.New("the company id is empty, or names a folder of the URL"))
	}
	return c.recorder().Revoke(ctx, opDisconnect, func(ctx context.Context) error {
		_, _, err := c.call(ctx, request{
			operation: opDisconnect, method: http.MethodPost, bearer: string(systemToken), want: http.StatusNoContent,
			path: "/v1/companies/" + url.PathEscape(companyID) + "/disconnect_app_integration",
		})
		return err
	}, c.ofCompany(companyID)...)
}

// How long a revocation is kept. A token that Gusto failed to revoke may be
// introspected and cached as long as it lives, and that verdict holds for as long
// again (see dialect.Answer). A company is either disconnected, and then every cached
// verdict ends within one lifetime, or it stays connected and gets new tokens.
const (
	keepToken   = 2 * lifetime
	keepCompany = lifetime
)

// ofCompany returns revocations by the id as the caller wrote it, which may come from
// a Tenant, and by the id in lower case: Gusto writes a UUID so (RFC 9562 §4), other
// systems do not.
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

// checkClient returns an error if the Config has no client.
func (c *Client) checkClient(operation string) error {
	if c.cfg.ClientID == "" {
		return noCredential(operation, "Config has no ClientID and ClientSecret")
	}
	return nil
}

// checkToken returns an error if Gusto cannot have issued token, which is then not
// sent.
func checkToken(operation, token string) error {
	switch {
	case token == "":
		return noCredential(operation, "the token is empty")
	case !isGustoToken(token):
		return failed(operation, 0, oauthz.ErrUnrecognized)
	default:
		return nil
	}
}
