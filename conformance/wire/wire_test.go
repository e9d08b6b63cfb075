package wire_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz/conformance/wire"
)

// The systems whose samples are replayed, each by the tests of a folder.
var replayed = []string{"gusto", "gusto-app-integration", "affix", "polar", "agilicus", "keycloak", "rfc7662"}

func TestEverySampleIsReplayedOrHasAReason(t *testing.T) {
	t.Parallel()
	samples, _, d := wire.Read(t, filepath.Join("..", "testdata"))
	ids, systems := map[string]bool{}, map[string]bool{}
	counts := map[string]int{}
	for _, s := range samples {
		assert.False(t, ids[s.ID], "%s is there twice", s.ID)
		ids[s.ID], systems[s.System] = true, true
		decision, partly := d.Samples[s.ID]
		_, without := d.Systems[s.System]
		switch {
		case without || partly && !decision.Answer:
			counts["not replayed"]++
		case partly:
			counts["only the answer"]++
		default:
			assert.Contains(t, replayed, s.System, s.ID)
			counts["replayed"]++
		}
	}
	for id, decision := range d.Samples {
		assert.True(t, ids[id], id)
		assert.NotEmpty(t, decision.Why, id)
	}
	for system, decision := range d.Systems {
		assert.True(t, systems[system], system)
		assert.NotEmpty(t, decision.Why, system)
	}
	t.Logf("wire samples: %d exchanges %v", len(samples), counts)
	assert.Equal(t, map[string]int{"replayed": 49, "only the answer": 5, "not replayed": 16}, counts)
}
