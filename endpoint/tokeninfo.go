package endpoint

import (
	"encoding/json"
	"net/http"

	"github.com/oauthz/oauthz"
)

// tokenInfoMembers are what a caller is told of its own token: what it may do
// where, for whom, until when, and the key that it must prove to have. Not what
// names the token or the session, which is of use to nobody but a thief.
var tokenInfoMembers = []string{
	"iss", "sub", "username", "client_id", "aud", "scope", "iat", "exp", "acr", "auth_time", "cnf",
}

// TokenInfo makes a handler that tells a caller what its own access token says,
// as JSON, with the names of RFC 7662 §2.2: iss, sub, username, client_id, aud,
// scope, iat, exp, acr, auth_time, cnf, and tenant, each if there is one. A
// client with an opaque token has no other way to know.
//
// It goes behind an [oauthz.Guard], which puts the token into the context. Where
// there is none, for nobody put it there or the caller is anonymous, the answer
// is 401.
func TokenInfo() http.Handler {
	h := &handler{methods: []string{http.MethodGet, http.MethodHead}, decide: tokenInfo, report: reportOrLog(nil)}
	return http.HandlerFunc(h.serve)
}

func tokenInfo(_ http.ResponseWriter, r *http.Request) (reply, error) {
	t, ok := oauthz.TokenFrom(r.Context())
	if !ok {
		return reply{}, &failure{ // no error code: nothing is wrong with a token (RFC 6750 §3.1)
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
