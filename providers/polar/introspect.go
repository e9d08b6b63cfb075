package polar

import (
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

// Introspect introspects token at Polar, if it has the form of an access token of
// Polar. Any other string that begins like a secret of Polar is refused; for all
// other strings the error is [oauthz.ErrUnrecognized]. Neither is sent.
func (c *Client) Introspect(ctx context.Context, token string) (*oauthz.Token, error) {
	if strings.HasPrefix(token, "polar_") && !isAccessToken(token) {
		// A refresh token is a credential for Polar alone: it must not be passed on to
		// another introspector.
		return nil, remote.Refusal("the token does not have the form of an access token of Polar")
	}
	return c.introspector.Introspect(ctx, token)
}

// Introspection is an answer of Polar about a token. If the token is not active, all
// other fields are zero, and Polar does not distinguish the reasons: expired,
// revoked, unknown, or issued to another client.
type Introspection struct {
	Active        bool
	ClientID      string        // client_id
	TokenType     string        // token_type: "Bearer"
	Scopes        oauthz.Scopes // scope
	SubjectType   string        // sub_type: "user" or "organization"
	Subject       string        // sub, a UUID of that type
	Organizations []string      // organizations that the token is limited to; empty: all
	Audience      []string      // aud: the client id
	Issuer        string        // iss
	ExpiresAt     time.Time     // exp
	IssuedAt      time.Time     // iat
}

// IntrospectRaw returns the answer of Polar about an access token. A malformed answer
// is an error. It does not check whether the token may be accepted: only
// [Client.Introspect] does. It fails with a *[providers.OperationError].
func (c *Client) IntrospectRaw(ctx context.Context, token oauthz.Secret) (*Introspection, error) {
	const operation = "introspect"
	if !isAccessToken(string(token)) {
		return nil, failed(operation, 0, errNotAccessToken)
	}
	form := url.Values{"token": {string(token)}, "token_type_hint": {string(HintAccessToken)}}
	body, err := c.api.post(ctx, operation, c.api.basic, form)
	if err != nil {
		return nil, err
	}
	answer, err := readIntrospection(body)
	if err != nil {
		return nil, malformed(operation, err)
	}
	return answer, nil
}

func readIntrospection(body []byte) (*Introspection, error) {
	a := readAnswer(body)
	in := &Introspection{Active: a.boolean("active")}
	if a.err != nil {
		return nil, a.err
	}
	if !in.Active { // the other members are not read
		return in, nil
	}
	in.ClientID, in.Subject, in.SubjectType = a.text("client_id"), a.text("sub"), a.text("sub_type")
	in.Audience = a.oneOrMore("aud")
	in.ExpiresAt = a.date("exp")
	in.TokenType, in.Issuer = a.optional("token_type"), a.optional("iss")
	if a.has("iat") {
		in.IssuedAt = a.date("iat")
	}
	if a.has("organizations") {
		in.Organizations = a.list("organizations")
	}
	scope := a.optional("scope")
	if a.err != nil {
		return nil, a.err
	}
	if in.SubjectType != "user" && in.SubjectType != "organization" {
		return nil, errors.New("member sub_type: neither user nor organization")
	}
	scopes, err := oauthz.ParseScopes(scope)
	if err != nil {
		return nil, err
	}
	in.Scopes = scopes
	return in, nil
}

// dialect is RFC 7662 with the answers of Polar. The standard dialect, which makes
// its requests, sends the hint that keeps Polar from finding refresh tokens.
type dialect struct {
	remote.Dialect
	clientID string
}

// Answer reads an answer. Only a 200 is about the token. A 400 or 401 is about our
// credentials or our hint, although in RFC 6750 §3.1 a 401 is about the token.
func (d dialect) Answer(r *http.Response, body []byte) (*oauthz.Token, error) {
	if r.StatusCode != http.StatusOK {
		return nil, remote.Fault("introspection at Polar: the request or the credentials were rejected", r.StatusCode)
	}
	if !fetch.IsJSON(r.Header) {
		return nil, remote.Fault("introspection at Polar: the content type of the answer is not JSON", r.StatusCode)
	}
	in, err := readIntrospection(body)
	if err != nil {
		return nil, remote.Fault(fmt.Sprintf("introspection at Polar: the answer is malformed: %v", err), r.StatusCode)
	}
	switch {
	case !in.Active:
		return nil, oauthz.ErrInactive
	case strings.Contains(strings.ToLower(in.TokenType), "refresh"):
		return nil, remote.Refusal("the token is a refresh token")
	case in.ClientID != d.clientID:
		return nil, remote.Refusal("the token was issued to another client of Polar")
	}
	claims, _ := strictjson.WithoutNulls(string(body)) // readIntrospection has checked that it is an object
	t, err := oauthz.ParseToken([]byte(claims))
	if err != nil {
		return nil, remote.Fault(fmt.Sprintf("introspection at Polar: the answer is malformed: %v", err), r.StatusCode)
	}
	// A user and an organization are different subjects, even with the same id.
	t.Subject = in.SubjectType + "/" + in.Subject
	return t, nil
}
