package challengetest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz/internal/challengetest"
)

// The module conformance tests the parser with vectors of other projects.
func TestParse(t *testing.T) {
	t.Parallel()
	for field, want := range map[string][]challengetest.Challenge{
		"":                        nil,
		"Bearer realm=\"":         nil,
		"=":                       nil,
		"Negotiate YII=, , Basic": {{Scheme: "negotiate", Parameters: map[string]string{}, Token68: "YII="}, {Scheme: "basic", Parameters: map[string]string{}}},
		`Bearer realm="a\"b", Error = c`: {{
			Scheme: "bearer", Parameters: map[string]string{"realm": `a"b`, "error": "c"},
		}},
	} {
		got, ok := challengetest.Parse(field)
		assert.Equal(t, want != nil, ok, field)
		assert.Equal(t, want, got, field)
	}
}
