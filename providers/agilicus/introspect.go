package agilicus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/remote"
)

const opIntrospect = "introspect"

// Introspect introspects token at Agilicus. For a string that does not have the form
// of a JWT the error is [oauthz.ErrUnrecognized], and nothing is sent.
func (c *Client) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	return c.introspector.Introspect(ctx, token)
}

// IntrospectOptions selects the contents of an answer.
type IntrospectOptions struct {
	_ struct{}

	// ExcludeRoles leaves the roles out of the answer. Default: the answer has them.
	ExcludeRoles bool `json:"exclude_roles"`
	// SupportHTTPMatchers declares that the caller supports the newer matchers of
	// hosts. Default: it does not.
	SupportHTTPMatchers bool `json:"support_http_matchers"`
	// NoCache makes Agilicus bypass its cache. Default: it may answer from its cache.
	NoCache bool `json:"no_cache"`
	// TargetOrgInfo limits the answer to some organizations. Default: not sent.
	TargetOrgInfo *OrgInfo `json:"target_org_info,omitempty"`
}

// OrgInfo names organizations.
type OrgInfo struct {
	_ struct{}

	TargetOrgs   []string `json:"target_orgs,omitempty"`   // default: not sent
	TargetDomain string   `json:"target_domain,omitempty"` // default: not sent
}

func (o *IntrospectOptions) clone() *IntrospectOptions {
	if o == nil {
		return nil
	}
	out := *o
	if o.TargetOrgInfo != nil {
		info := *o.TargetOrgInfo
		info.TargetOrgs = slices.Clone(info.TargetOrgs)
		out.TargetOrgInfo = &info
	}
	return &out
}

// introspectRequest is TokenIntrospect in the API of Agilicus. Token is not an
// oauthz.Secret, which would be sent as "[redacted]".
type introspectRequest struct {
	Token   string             `json:"token"`
	Options *IntrospectOptions `json:"introspect_options,omitempty"`
}

// dialect is the introspection of Agilicus, for package remote: a request holds the
// token, and no credentials.
type dialect struct {
	issuer  string
	options *IntrospectOptions
}

// Ask returns the request, without a form, so that no credentials are added to it.
func (d dialect) Ask(ctx context.Context, endpoint *url.URL, token string) (*http.Request, url.Values, error) {
	r, err := providers.NewRequest(ctx, http.MethodPost, endpoint.String(), "", introspectRequest{token, d.options})
	return r, nil, err
}

// Answer reads an answer. 410 means that the token is revoked; no other status is
// documented. The meaning of the others for an expired or unknown token is therefore
// not known, and they are faults.
func (d dialect) Answer(r *http.Response, body []byte) (*oauthz.Token, error) {
	switch {
	case r.StatusCode == http.StatusGone:
		return nil, oauthz.ErrRevoked
	case r.StatusCode != http.StatusOK:
		return nil, remote.Fault("introspection at Agilicus: the request was rejected", r.StatusCode)
	case !fetch.IsJSON(r.Header):
		return nil, remote.Fault("introspection at Agilicus: the content type of the answer is not JSON", r.StatusCode)
	}
	t, in, err := readIntrospection(body)
	if err != nil {
		return nil, remote.Fault(fmt.Sprintf("introspection at Agilicus: the answer is malformed: %v", err), r.StatusCode)
	}
	if in.isRefreshToken {
		return nil, remote.Refusal("the token is a refresh token")
	}
	// The documentation has no iss. If an answer had one, no revocation of ours would
	// name it.
	t.Tenant, t.Issuer = in.Org, d.issuer
	if t.SessionID == "" {
		t.SessionID = in.Session
	}
	return t, nil
}

// readIntrospection requires the members that every answer about a valid token has.
func readIntrospection(body []byte) (*oauthz.Token, *Token, error) {
	t, in, err := readToken(string(body))
	switch {
	case err != nil:
		return nil, nil, err
	case t.Subject == "":
		return nil, nil, errors.New("member sub: missing")
	case t.ExpiresAt.IsZero():
		return nil, nil, errors.New("member exp: missing")
	default:
		return t, in, nil
	}
}

// IntrospectRaw returns the answer of Agilicus about token. A malformed answer is an
// error. It does not check whether the token may be accepted (its expiry, its
// audience, that it is not a refresh token): only [Client.Introspect] does. It fails
// with a *[providers.OperationError], which matches [oauthz.ErrRevoked] if the token
// is revoked. Nil options are not sent.
func (c *Client) IntrospectRaw(ctx context.Context, token oauthz.Secret, options *IntrospectOptions) (*Token, error) {
	if !isJWT(string(token)) {
		return nil, failed(opIntrospect, 0, errNotJWT)
	}
	body, err := c.api.do(ctx, call{
		operation: opIntrospect, method: http.MethodPost, path: "introspect", body: introspectRequest{string(token), options}, want: http.StatusOK,
	})
	var gone *providers.OperationError
	if errors.As(err, &gone) && gone.Status == http.StatusGone {
		gone.Err = oauthz.ErrRevoked
	}
	if err != nil {
		return nil, err
	}
	_, in, err := readIntrospection(body)
	if err != nil {
		return nil, malformed(opIntrospect, http.StatusOK, err)
	}
	return in, nil
}
