package affix

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/strictjson"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/remote"
)

const (
	vendor         = "affix"
	opIntrospect   = "introspect"
	introspectPath = "/2023-03-01/management/introspect"
)

// Introspect introspects token at Affix. In the token that it returns,
//
//   - Subject is mode/provider, which does not name a user;
//   - ClientID is the client that the token was issued to, one of
//     [Config].ClientIDs;
//   - Scopes are the scopes of the answer, without those that a route cannot require
//     (RFC 6749 §3.3);
//   - Issuer is the BaseURL;
//   - Claim and Decode read the answer as Affix sent it, without the members that
//     are null.
//
// A 401, 403 or 404 is a refusal, because at this endpoint the token is the only
// credential. Every other answer is a fault, unless it is a complete and correct
// 200.
func (c *Client) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	return c.introspector.Introspect(ctx, token)
}

// Inspection is an answer of Affix.
type Inspection struct {
	ClientID string   // the client that the token was issued to
	Mode     string   // official or xhr; developer in old documents
	Provider string   // the provider of the connection
	Scopes   []string // as Affix sent them
}

// IntrospectRaw returns the answer of Affix about token. It accepts tokens of any
// client: only [Client.Introspect] checks [Config].ClientIDs. It fails with a
// *[providers.OperationError], which matches [oauthz.ErrInvalidToken] if Affix
// rejected the token.
func (c *Client) IntrospectRaw(ctx context.Context, token string) (*Inspection, error) {
	switch {
	case token == "":
		return nil, failed(0, fmt.Errorf("%w: the token is empty", providers.ErrNoCredential))
	case !remote.VisibleASCII(token):
		return nil, failed(0, oauthz.ErrUnrecognized)
	}
	r, err := providers.NewRequest(ctx, http.MethodGet, c.endpoint, oauthz.Secret(token), nil)
	if err != nil {
		return nil, failed(0, err)
	}
	header, body, err := c.caller.Do(ctx, opIntrospect, r, http.StatusOK)
	var refused *providers.OperationError
	if errors.As(err, &refused) && isRefusal(refused.Status, body) {
		refused.Err = oauthz.ErrInactive
	}
	if err != nil {
		return nil, err
	}
	inspection, _, err := readInspection(header, body)
	if err != nil {
		return nil, failed(http.StatusOK, err)
	}
	return inspection, nil
}

// failed returns the error of IntrospectRaw. Without an answer, status is 0.
func failed(status int, err error) *providers.OperationError {
	return &providers.OperationError{Vendor: vendor, Operation: opIntrospect, Status: status, Err: err}
}

// dialect is the introspection of Affix, for package remote.
type dialect struct {
	clientIDs []string
	anyClient bool
}

func (dialect) Ask(ctx context.Context, endpoint *url.URL, token string) (*http.Request, url.Values, error) {
	r, err := providers.NewRequest(ctx, http.MethodGet, endpoint.String(), oauthz.Secret(token), nil)
	return r, nil, err
}

func (d dialect) Answer(r *http.Response, body []byte) (*oauthz.Token, error) {
	switch {
	case r.StatusCode == http.StatusOK:
	case isRefusal(r.StatusCode, body):
		return nil, fmt.Errorf("%w: Affix answered with status %d", oauthz.ErrInactive, r.StatusCode)
	default:
		return nil, remote.Fault("introspection at Affix: the request was rejected", r.StatusCode)
	}
	inspection, scopes, err := readInspection(r.Header, body)
	if err != nil {
		return nil, remote.Fault("introspection at Affix: "+err.Error(), r.StatusCode)
	}
	if !d.anyClient && !slices.Contains(d.clientIDs, inspection.ClientID) {
		return nil, remote.Refusal("the token was issued to another client of Affix")
	}
	claims, _ := strictjson.WithoutNulls(string(body)) // readInspection has checked that it is an object
	t, err := oauthz.ParseToken([]byte(claims))
	if err != nil {
		return nil, remote.Fault("introspection at Affix: a claim of the answer has the wrong type", r.StatusCode)
	}
	t.Subject, t.Scopes = inspection.Mode+"/"+inspection.Provider, scopes
	t.Issuer = "" // package remote sets it
	return t, nil
}
