package endpoint

import (
	"net/url"
	"strconv"
	"time"

	"github.com/oauthz/oauthz"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// readQuery reads the parameters of [Revocations]. Its errors name a parameter
// that there is, and no byte of what was sent.
func parseQuery(raw string) (oauthz.Query, error) {
	q := oauthz.Query{Limit: defaultLimit}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, badRequest("The query is malformed")
	}
	for name, list := range values {
		if len(list) > 1 {
			return q, badRequest("A parameter is repeated")
		}
		known, ok := setParameter(&q, name, list[0])
		if !known {
			return q, badRequest("A parameter is not known")
		}
		if !ok {
			return q, badRequest("The parameter " + name + " is not valid")
		}
	}
	if _, err := new(oauthz.Revocations).All(q); err != nil { // what no list could look for
		return q, badRequest("The parameter match is not valid")
	}
	return q, nil
}

// setQuery sets what a parameter means, and says whether there is such a
// parameter, and whether the value is one for it.
func setParameter(q *oauthz.Query, name, value string) (known, ok bool) {
	var err error
	switch name {
	case "match":
		q.Match, err = parseMatch(value)
	case "limit":
		q.Limit, err = strconv.Atoi(value)
		return true, err == nil && q.Limit >= 1 && q.Limit <= maxLimit
	default:
		at := timeBound(q, name)
		if at == nil {
			return false, false
		}
		*at, err = time.Parse(time.RFC3339Nano, value)
		return true, err == nil && !at.IsZero() // zero would be no bound
	}
	return true, err == nil
}

func timeBound(q *oauthz.Query, name string) *time.Time {
	switch name {
	case "expires_from":
		return &q.ExpiresFrom
	case "expires_to":
		return &q.ExpiresTo
	case "issued_from":
		return &q.IssuedFrom
	case "issued_to":
		return &q.IssuedTo
	case "revoked_from":
		return &q.RevokedFrom
	case "revoked_to":
		return &q.RevokedTo
	default:
		return nil
	}
}
