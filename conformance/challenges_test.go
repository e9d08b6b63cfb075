package conformance

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/challengetest"
)

type challengeVector struct {
	Description, Header string
	Expected            []challengetest.Challenge
}

func readChallenges(t testing.TB) []challengeVector {
	t.Helper()
	var file struct{ Vectors []challengeVector }
	readJSON(t, "www-authenticate.json", &file)
	return file.Vectors
}

// The tests of the challenges that the Guard writes use this parser. The vectors were written by other projects.
func TestChallengeParserAgreesWithOtherProjects(t *testing.T) {
	t.Parallel()
	vectors := readChallenges(t)
	t.Logf("challenges: %d vectors", len(vectors))
	require.Len(t, vectors, 54)
	for _, v := range vectors {
		t.Run(v.Description, func(t *testing.T) {
			t.Parallel()
			got, ok := challengetest.Parse(v.Header)
			assert.Equal(t, v.Expected != nil, ok, v.Header)
			assert.Equal(t, v.Expected, got, v.Header)
		})
	}
}
