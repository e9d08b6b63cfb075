package affix

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/strictjson"
)

// isRefusal reports whether an answer rejects the token: it has a status that Affix
// uses for that, and a body that Affix wrote, with a message, and for 404 an id
// too. Any other answer with such a status comes from a proxy on the way, or from a
// wrong BaseURL: it must not refuse every token.
func isRefusal(status int, body []byte) bool {
	required := []string{"message"}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
	case http.StatusNotFound:
		required = append(required, "id")
	default:
		return false
	}
	members, _ := strictjson.Object(string(body)) // empty, if body is not an object
	return !slices.ContainsFunc(required, func(name string) bool {
		value, _ := strictjson.Lookup(members, name)
		_, err := strictjson.String(value)
		return err != nil
	})
}

// Why an answer with a good status is malformed.
var (
	errNotJSON   = errors.New("the answer is not JSON")
	errMalformed = errors.New("a required member of the answer is missing, or has the wrong type")
)

// readInspection requires all members that the API promises: without them, any JSON
// object would be an active token. The values are not compared with the published
// lists: the vendor's own examples have other values.
func readInspection(header http.Header, body []byte) (*Inspection, oauthz.Scopes, error) {
	if !fetch.IsJSON(header) {
		return nil, nil, errNotJSON
	}
	members, err := strictjson.Object(string(body))
	if err != nil {
		return nil, nil, errNotJSON
	}
	i := &Inspection{}
	for _, required := range []struct {
		name string
		into *string
	}{{"client_id", &i.ClientID}, {"mode", &i.Mode}, {"provider", &i.Provider}} {
		value, _ := strictjson.Lookup(members, required.name)
		if *required.into, _ = strictjson.String(value); *required.into == "" { // or not a string
			return nil, nil, errMalformed
		}
	}
	value, _ := strictjson.Lookup(members, "scopes")
	if i.Scopes, err = strictjson.Strings(value); err != nil || strings.Contains(i.Mode, "/") { // mode/provider must have one reading
		return nil, nil, errMalformed
	}
	// ParseToken drops those elements of an array scp that a route cannot require,
	// and keeps all others.
	t, err := oauthz.ParseToken([]byte(`{"scp":` + value + `}`))
	if err != nil {
		return nil, nil, errMalformed
	}
	return i, t.Scopes, nil
}
