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

// Introspection is what Polar says of a token. Of one that is not active it says
// nothing else, and why is not to be had: expired, revoked, unknown, or another
// client's.
type Introspection struct {
	Active        bool
	ClientID      string        // client_id
	TokenType     string        // token_type: "Bearer"
	Scopes        oauthz.Scopes // scope
	SubjectType   string        // sub_type: "user" or "organization"
	Subject       string        // sub, a UUID of that type
	Organizations []string      // organizations that the token is narrowed to; none: all
	Audience      []string      // aud: the client id
	Issuer        string        // iss
	ExpiresAt     time.Time     // exp
	IssuedAt      time.Time     // iat
}

// IntrospectRaw returns Polar's own answer about an access token. An answer of
// the wrong shape is an error; whether the token is to be accepted is not judged:
// that is [Client.Introspect]. It fails with a *[providers.OperationError].
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
		return nil, nonsense(operation, err)
	}
	return answer, nil
}

func readIntrospection(body []byte) (*Introspection, error) {
	a := readAnswer(body)
	in := &Introspection{Active: a.boolean("active")}
	if a.err != nil {
		return nil, a.err
	}
	if !in.Active { // whatever else it says
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

// dialect is RFC 7662 as Polar speaks it: it asks like the standard one, with
// the hint that keeps refresh tokens from being found.
type dialect struct {
	remote.Dialect
	clientID string
}

// Answer: nothing but a 200 is about the token. 400 and 401 are about us, our
// credentials or our hint, though RFC 6750 would have 401 say the opposite.
func (d dialect) Answer(r *http.Response, body []byte) (*oauthz.Token, error) {
	if r.StatusCode != http.StatusOK {
		return nil, remote.Fault("Polar refuses our request, or our credentials", r.StatusCode)
	}
	if !fetch.IsJSON(r.Header) {
		return nil, remote.Fault("Polar's answer is not JSON by its content type", r.StatusCode)
	}
	in, err := readIntrospection(body)
	if err != nil {
		return nil, remote.Fault(fmt.Sprintf("Polar's answer is nonsense: %v", err), r.StatusCode)
	}
	switch {
	case !in.Active:
		return nil, oauthz.ErrInactive
	case strings.Contains(strings.ToLower(in.TokenType), "refresh"):
		return nil, remote.Refusal("is a refresh token")
	case in.ClientID != d.clientID:
		return nil, remote.Refusal("was issued to another client")
	}
	claims, _ := strictjson.WithoutNulls(string(body)) // an object, as has been checked
	t, err := oauthz.ParseToken([]byte(claims))
	if err != nil {
		return nil, remote.Fault(fmt.Sprintf("Polar's answer is nonsense: %v", err), r.StatusCode)
	}
	// A user and an organization are not the same subject, whatever their ids.
	t.Subject = in.SubjectType + "/" + in.Subject
	return t, nil
}
