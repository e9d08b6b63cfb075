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

// parseQuery parses the query parameters of [Admin]. Its errors name only known
// parameters, and contain no byte of the request.
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
	if _, err := new(oauthz.MemoryRevocations).All(q); err != nil { // a match that no list can search for
		return q, badRequest("The parameter match is not valid")
	}
	return q, nil
}

// setParameter sets the field of q for a parameter. known reports whether the
// parameter exists, and ok reports whether the value is valid.
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
		return true, err == nil && !at.IsZero() // a zero time would set no bound
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
