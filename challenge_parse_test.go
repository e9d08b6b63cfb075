package oauthz_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// challenge is one challenge of a WWW-Authenticate field (RFC 9110 §11.6.1), names in lower case.
type challenge struct {
	Scheme     string            `json:"scheme"`
	Parameters map[string]string `json:"parameters"`
	Token68    string            `json:"token68"`
}

// The parts of the grammar. Spaces around "=" and empty list elements are a recipient's to accept (§5.6.1, §5.6.3).
var (
	listGap  = regexp.MustCompile(`^[ \t]*(,[ \t]*)*`)
	schemeIs = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+)( +|[ \t]*,|[ \t]*$)")
	token68  = regexp.MustCompile(`^([A-Za-z0-9\-._~+/]+=*)[ \t]*(,|$)`)
	param    = regexp.MustCompile("^([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*" +
		"(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)|\"((?:[^\"\\\\]|\\\\.)*)\")[ \t]*(,|$)")
	escaped = regexp.MustCompile(`\\(.)`)
)

// parseChallenges reads a WWW-Authenticate field; ok is false if some of it is no challenge, or there is none.
func parseChallenges(field string) (challenges []challenge, ok bool) {
	rest := field[len(listGap.FindString(field)):]
	for rest != "" {
		m := schemeIs.FindStringSubmatch(rest)
		if m == nil {
			return nil, false
		}
		c := challenge{Scheme: strings.ToLower(m[1]), Parameters: map[string]string{}}
		rest = rest[len(m[0]):]
		if strings.HasSuffix(m[2], " ") { // only a space can be followed by credentials of this scheme
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

// parseParams reads the parameters that rest begins with, at least one.
func (c *challenge) parseParams(rest string) (string, bool) {
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

// TestParseChallenges holds the parser against vectors of others, so that it may judge our challenges (RS-01).
func TestParseChallenges(t *testing.T) {
	t.Parallel()
	var file struct {
		Vectors []struct {
			Description, Header string
			Expected            []challenge
		}
	}
	readVectors(t, "www-authenticate.json", &file)
	require.Len(t, file.Vectors, 54)
	for _, v := range file.Vectors {
		t.Run(v.Description, func(t *testing.T) {
			t.Parallel()
			got, ok := parseChallenges(v.Header)
			assert.Equal(t, v.Expected != nil, ok, v.Header)
			assert.Equal(t, v.Expected, got, v.Header)
		})
	}
}
