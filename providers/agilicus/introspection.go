package agilicus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/providers"
	"github.com/oauthz/oauthz/remote"
)

// IntrospectOptions says what an answer holds.
type IntrospectOptions struct {
	_ struct{}

	// ExcludeRoles leaves the roles out. Default: they are in.
	ExcludeRoles bool `json:"exclude_roles"`
	// SupportHTTPMatchers says that the caller understands the newer matchers of
	// hosts. Default: it does not.
	SupportHTTPMatchers bool `json:"support_http_matchers"`
	// NoCache has Agilicus look afresh. Default: it may answer from its cache.
	NoCache bool `json:"no_cache"`
	// TargetOrgInfo narrows the answer to organizations. Default: not sent.
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

// question is TokenIntrospect. Token is no oauthz.Secret, which would be sent as
// "[redacted]".
type question struct {
	Token   string             `json:"token"`
	Options *IntrospectOptions `json:"introspect_options,omitempty"`
}

// dialect is how Agilicus introspects: it has to be told nothing but the token.
type dialect struct {
	issuer  string
	options *IntrospectOptions
}

// Ask makes the request. There is no form, and nothing to authenticate with.
func (d dialect) Ask(ctx context.Context, endpoint *url.URL, token string) (*http.Request, url.Values, error) {
	body, err := json.Marshal(question{token, d.options})
	if err != nil {
		return nil, nil, errNoRequest
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint.String(), bytes.NewReader(body))
	if err != nil {
		return nil, nil, errNoRequest
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	return r, nil, nil
}

// Answer: 410 says revoked, and is the one status that is documented. What the
// others mean for an expired or unknown token nobody says, so that they tell
// nothing of it.
func (d dialect) Answer(r *http.Response, body []byte) (*oauthz.Token, error) {
	switch {
	case r.StatusCode == http.StatusGone:
		return nil, oauthz.ErrRevoked
	case r.StatusCode != http.StatusOK:
		return nil, remote.Fault("Agilicus refuses our request", r.StatusCode)
	case !fetch.IsJSON(r.Header):
		return nil, remote.Fault("Agilicus's answer is not JSON by its content type", r.StatusCode)
	}
	t, in, err := readIntrospection(body)
	if err != nil {
		return nil, remote.Fault(fmt.Sprintf("Agilicus's answer is nonsense: %v", err), r.StatusCode)
	}
	if in.refresh {
		return nil, remote.Refusal("is a refresh token")
	}
	// No iss is documented. One that came all the same would be one that no
	// revocation here names.
	t.Tenant, t.Issuer = in.Org, d.issuer
	if t.SessionID == "" {
		t.SessionID = in.Session
	}
	return t, nil
}

// readIntrospection demands what every answer about a token that is good has.
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

// IntrospectToken returns Agilicus's own answer about token. An answer of the
// wrong shape is an error; whether the token is to be accepted (its expiry, its
// audience, that it is no refresh token) is not judged: that is
// [Client.Introspect]. It fails with a *[providers.OperationError], which matches
// [oauthz.ErrRevoked] if the token is revoked. Nil options are not sent.
func (c *Client) IntrospectToken(ctx context.Context, token oauthz.Secret, options *IntrospectOptions) (*Token, error) {
	const operation = "introspect"
	if !isJWT(string(token)) {
		return nil, failed(operation, 0, errNotJWT)
	}
	body, err := c.api.do(ctx, call{
		operation: operation, method: http.MethodPost, path: "introspect", in: question{string(token), options}, want: http.StatusOK,
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
		return nil, nonsense(operation, http.StatusOK, err)
	}
	return in, nil
}
