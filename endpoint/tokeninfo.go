package endpoint

import (
	"encoding/json"
	"net/http"

	"github.com/oauthz/oauthz"
)

// tokenInfoMembers are the members that a caller may see of its own token: its
// permissions, the APIs and the user that they are valid for, their end, and the
// key that the caller must prove to have. Identifiers of the token and of the
// session are left out, because only a thief could use them.
var tokenInfoMembers = []string{
	"iss", "sub", "username", "client_id", "aud", "scope", "iat", "exp", "acr", "auth_time", "cnf",
}

// TokenInfo returns a handler that answers with the claims of the caller's own
// access token as JSON, under the names of RFC 7662 §2.2: iss, sub, username,
// client_id, aud, scope, iat, exp, acr, auth_time, cnf, and also tenant. Claims that
// the token does not have are omitted. A client with an opaque token has no other
// way to read its claims.
//
// Put TokenInfo behind an [oauthz.Guard], which puts the token into the context. If
// the context has no token, because the Guard is missing or because the caller is
// anonymous, the answer is 401.
func TokenInfo() http.Handler {
	h := &handler{methods: []string{http.MethodGet, http.MethodHead}, decide: tokenInfo, report: reportOrLog(nil)}
	return http.HandlerFunc(h.serve)
}

func tokenInfo(_ http.ResponseWriter, r *http.Request) (reply, error) {
	t, ok := oauthz.TokenFrom(r.Context())
	if !ok {
		return reply{}, &failure{ // no error code: no token was sent (RFC 6750 §3.1)
			status: http.StatusUnauthorized, header: http.Header{"Www-Authenticate": {`Bearer realm="api"`}}, err: oauthz.ErrNoToken,
		}
	}
	members := map[string]json.RawMessage{}
	for _, name := range tokenInfoMembers {
		if value, ok := t.Claim(name); ok {
			members[name] = value
		}
	}
	if tenant, ok := t.Claim(oauthz.MatchTenant); ok {
		members["tenant"] = tenant
	}
	return jsonReply(members)
}
