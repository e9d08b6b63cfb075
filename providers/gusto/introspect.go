package gusto

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/strictjson"
	"github.com/oauthz/oauthz/remote"
)

const tokenInfoPath = "/v1/token_info"

// lifetime is how long an access token lives. The answer does not say when it
// was issued, but no verdict on it stands for longer.
const lifetime = 2 * time.Hour

// Introspect asks Gusto about token. Subject is the owner, or of a token without
// an owner the resource, as Type/uuid; Tenant is the resource in the same form;
// Issuer is the BaseURL. Where Gusto names neither, which its schema allows, both
// are empty: an API that needs a user or a company must refuse such a token.
// There is neither a ClientID nor an expiry, for Gusto does not name them. Claim
// and Decode see the answer as it came, without the members that are null.
//
// A 401 is a refusal, for this endpoint says it of the token. Every other answer
// that is not a whole and correct 200 is a fault.
func (c *Client) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	return c.introspector.Introspect(ctx, token)
}

// TokenInfo is what Gusto says of a token.
type TokenInfo struct {
	Scopes        oauthz.Scopes
	Resource      *Entity // what the token gives access to; nil if null
	ResourceOwner *Entity // who gave it; nil for system tokens
	RateLimit     RateLimit
}

// Entity is a resource, or an owner: a company, an administrator, an application.
type Entity struct{ Type, UUID string }

// String returns Type/uuid, or "" for none.
func (e *Entity) String() string {
	if e == nil {
		return ""
	}
	return e.Type + "/" + e.UUID
}

// subject returns who the token acts for; "" if Gusto names neither.
func (i *TokenInfo) subject() string {
	if i.ResourceOwner != nil {
		return i.ResourceOwner.String()
	}
	return i.Resource.String()
}

// dialect is how remote asks token_info.
type dialect struct{ client *Client }

func (d dialect) Ask(ctx context.Context, endpoint *url.URL, token string) (*http.Request, url.Values, error) {
	r, err := d.client.request(ctx, http.MethodGet, endpoint.String(), token, nil)
	return r, nil, err
}

func (d dialect) Answer(r *http.Response, body []byte) (*oauthz.Token, error) {
	switch r.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		if isPage(body) {
			return nil, remote.Fault("gusto: token_info: the page of a proxy", r.StatusCode)
		}
		return nil, fmt.Errorf("%w: gusto: token_info: status 401", oauthz.ErrInactive)
	default:
		return nil, remote.Fault("gusto: token_info: the endpoint refuses our request", r.StatusCode)
	}
	info, err := readTokenInfo(r.Header, body)
	if err != nil {
		return nil, remote.Fault("gusto: token_info: "+err.Error(), r.StatusCode)
	}
	claims, _ := strictjson.WithoutNulls(string(body)) // an object, as has been checked
	t, err := oauthz.ParseToken([]byte(claims))
	if err != nil {
		return nil, remote.Fault("gusto: token_info: the answer has a claim of the wrong type", r.StatusCode)
	}
	t.Issuer, t.Subject, t.Tenant = "", info.subject(), info.Resource.String() // remote sets the issuer
	return t.WithValidity(d.client.cfg.Now().Add(lifetime), nil), nil
}

// isPage: a page of some proxy on the way, such as its login, says nothing of a
// token.
func isPage(body []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) }

// The reasons that an answer with a good status is none.
var (
	errNotJSON  = errors.New("the answer is not JSON")
	errNonsense = errors.New("a required member of the answer is missing, or of the wrong type")
)

// readTokenInfo demands the members that were required when the API was
// published: without them, any JSON object would be an active token.
func readTokenInfo(header http.Header, body []byte) (*TokenInfo, error) {
	members, err := readObject(header, body)
	if err != nil {
		return nil, err
	}
	scope, _ := strictjson.Lookup(members, "scope")
	resource, _ := strictjson.Lookup(members, "resource") // may be null, but not missing: see readEntity
	owner, _ := strictjson.Lookup(members, "resource_owner")
	if _, err := strictjson.String(scope); err != nil {
		return nil, errNonsense
	}
	info := &TokenInfo{Scopes: readScopes(scope), RateLimit: readRateLimit(header)}
	if info.Resource, err = readEntity(resource); err != nil {
		return nil, err
	}
	if info.ResourceOwner, err = readEntity(owner); err != nil {
		return nil, err
	}
	return info, nil
}

func readObject(header http.Header, body []byte) ([]strictjson.Member, error) {
	if !fetch.IsJSON(header) {
		return nil, errNotJSON
	}
	members, err := strictjson.Object(string(body))
	if err != nil {
		return nil, errNotJSON
	}
	return members, nil
}

// readEntity reads an object, or null; "", for a member that is missing, is neither.
func readEntity(value string) (*Entity, error) {
	if value == "null" {
		return nil, nil
	}
	members, err := strictjson.Object(value)
	if err != nil {
		return nil, errNonsense
	}
	typ, _ := strictjson.Lookup(members, "type")
	uuid, _ := strictjson.Lookup(members, "uuid")
	e := &Entity{}
	e.Type, _ = strictjson.String(typ) // "" if it is none
	e.UUID, _ = strictjson.String(uuid)
	// With a slash in Type, two entities could have one name.
	if e.Type == "" || e.UUID == "" || strings.Contains(e.Type, "/") {
		return nil, errNonsense
	}
	return e, nil
}

// readScopes leaves out what no route can require, as ParseToken does.
func readScopes(scope string) oauthz.Scopes {
	t, err := oauthz.ParseToken([]byte(`{"scope":` + scope + `}`))
	if err != nil {
		return nil
	}
	return t.Scopes
}
