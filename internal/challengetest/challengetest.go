// Package challengetest parses WWW-Authenticate fields, for tests.
package challengetest

import (
	"regexp"
	"strings"
)

// Challenge is one challenge of a WWW-Authenticate field (RFC 9110 §11.6.1), names in lower case.
type Challenge struct {
	Scheme     string            `json:"scheme"`
	Parameters map[string]string `json:"parameters"`
	Token68    string            `json:"token68"`
}

// The parts of the grammar. A recipient must accept spaces around "=" and empty list elements (RFC 9110 §5.6.1, §5.6.3).
var (
	listGap = regexp.MustCompile(`^[ \t]*(,[ \t]*)*`)
	scheme  = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+)( +|[ \t]*,|[ \t]*$)")
	token68 = regexp.MustCompile(`^([A-Za-z0-9\-._~+/]+=*)[ \t]*(,|$)`)
	param   = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*" +
		"(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)|\"((?:[^\"\\\\]|\\\\.)*)\")[ \t]*(,|$)")
	escaped = regexp.MustCompile(`\\(.)`)
)

// Parse parses a WWW-Authenticate field. ok is false if a part of the field is not a challenge, or if it has none.
func Parse(field string) (challenges []Challenge, ok bool) {
	rest := field[len(listGap.FindString(field)):]
	for rest != "" {
		m := scheme.FindStringSubmatch(rest)
		if m == nil {
			return nil, false
		}
		c := Challenge{Scheme: strings.ToLower(m[1]), Parameters: map[string]string{}}
		rest = rest[len(m[0]):]
		if strings.HasSuffix(m[2], " ") { // credentials of this scheme can only follow a space
			if t := token68.FindStringSubmatch(rest); t != nil {
				c.Token68, rest = t[1], rest[len(t[0]):]
			} else {
				rest, ok = c.parseParams(rest)
				if !ok {
					return nil, false
				}
			}
		}
		rest = rest[len(listGap.FindString(rest)):]
		challenges = append(challenges, c)
	}
	return challenges, len(challenges) > 0
}

// parseParams parses the parameters at the start of rest and returns what follows them. There must be at least one.
func (c *Challenge) parseParams(rest string) (string, bool) {
	for {
		rest = rest[len(listGap.FindString(rest)):]
		m := param.FindStringSubmatch(rest)
		if m == nil {
			return rest, len(c.Parameters) > 0
		}
		c.Parameters[strings.ToLower(m[1])] = m[2] + escaped.ReplaceAllString(m[3], "$1")
		rest = rest[len(m[0]):]
	}
}
