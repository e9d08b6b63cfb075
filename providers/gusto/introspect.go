package gusto

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/strictjson"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/remote"
)

const tokenInfoPath = "/v1/token_info"

// lifetime is how long an access token lives. The answer does not hold the time of
// issue, but no verdict about the token holds for longer than lifetime.
const lifetime = 2 * time.Hour

// Introspect introspects token at Gusto. In the token that it returns,
//
//   - Subject is the owner, or for a token without an owner the resource, as
//     Type/uuid;
//   - Tenant is the resource in the same form;
//   - Issuer is the BaseURL;
//   - ClientID and ExpiresAt are empty, because Gusto does not send them;
//   - Claim and Decode read the answer as Gusto sent it, without the members that
//     are null.
//
// If Gusto names neither an owner nor a resource, which its schema allows, Subject
// and Tenant are both empty: an API that needs a user or a company must refuse such
// a token.
//
// A 401 is a refusal, because at this endpoint the token is the only credential.
// Every other answer is a fault, unless it is a complete and correct 200.
func (c *Client) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	return c.introspector.Introspect(ctx, token)
}

// TokenInfo is an answer of Gusto about a token.
type TokenInfo struct {
	Scopes        oauthz.Scopes
	Resource      *Entity // the token gives access to it; nil if null
	ResourceOwner *Entity // who gave the token; nil for system tokens
	RateLimit     RateLimit
}

// Entity is a resource or an owner: a company, an administrator, an application.
type Entity struct{ Type, UUID string }

// String returns Type/uuid, or "" for a nil Entity.
func (e *Entity) String() string {
	if e == nil {
		return ""
	}
	return e.Type + "/" + e.UUID
}

// subject returns the entity that the token acts for; "" if Gusto names none.
func (i *TokenInfo) subject() string {
	if i.ResourceOwner != nil {
		return i.ResourceOwner.String()
	}
	return i.Resource.String()
}

// IntrospectRaw returns the answer of Gusto about token. It fails with a
// *[providers.OperationError], which matches [oauthz.ErrInvalidToken] if Gusto
// rejected the token.
func (c *Client) IntrospectRaw(ctx context.Context, token string) (*TokenInfo, error) {
	if err := checkToken(opTokenInfo, token); err != nil {
		return nil, err
	}
	header, body, err := c.call(ctx, request{
		operation: opTokenInfo, method: http.MethodGet, path: tokenInfoPath, bearer: token, want: http.StatusOK,
	})
	var refused *providers.OperationError
	if errors.As(err, &refused) && refused.Status == http.StatusUnauthorized {
		refused.Err = oauthz.ErrInactive
	}
	if err != nil {
		return nil, err
	}
	info, err := readTokenInfo(header, body)
	if err != nil {
		return nil, failed(opTokenInfo, http.StatusOK, err)
	}
	return info, nil
}

// dialect is the introspection of Gusto, for package remote.
type dialect struct{ client *Client }

func (d dialect) Ask(ctx context.Context, endpoint *url.URL, token string) (*http.Request, url.Values, error) {
	r, err := d.client.newRequest(ctx, http.MethodGet, endpoint.String(), token, nil)
	return r, nil, err
}

func (d dialect) Answer(r *http.Response, body []byte) (*oauthz.Token, error) {
	switch r.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		if isPage(body) {
			return nil, remote.Fault("introspection at Gusto: the answer is an HTML page", r.StatusCode)
		}
		return nil, fmt.Errorf("%w: Gusto answered with status 401", oauthz.ErrInactive)
	default:
		return nil, remote.Fault("introspection at Gusto: the request was rejected", r.StatusCode)
	}
	info, err := readTokenInfo(r.Header, body)
	if err != nil {
		return nil, remote.Fault("introspection at Gusto: "+err.Error(), r.StatusCode)
	}
	claims, _ := strictjson.WithoutNulls(string(body)) // readTokenInfo has checked that it is an object
	t, err := oauthz.ParseToken([]byte(claims))
	if err != nil {
		return nil, remote.Fault("introspection at Gusto: a claim of the answer has the wrong type", r.StatusCode)
	}
	t.Issuer, t.Subject, t.Tenant = "", info.subject(), info.Resource.String() // package remote sets the issuer
	t.SetVerdict(oauthz.Verdict{Until: d.client.cfg.Now().Add(lifetime)})
	return t, nil
}
