package strictjson_test

import (
	"testing"

	"github.com/oauthz/oauthz/internal/doubling"
	"github.com/oauthz/oauthz/internal/strictjson"
)

// maxDocument is the largest answer of an authorization server that is read.
const maxDocument = 256 << 10

func TestCostOfAnObjectIsLinear(t *testing.T) {
	t.Parallel()
	for name, object := range doubling.Objects() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, maxDocument, func(n int) func() {
				doc := object(n)
				return func() { _, _ = strictjson.Object(doc) }
			})
		})
	}
}

func TestCostOfAValueIsLinear(t *testing.T) {
	t.Parallel()
	for name, value := range doubling.Values() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doubling.Linear(t, maxDocument, func(n int) func() {
				v := value(n)
				return func() {
					_, _ = strictjson.String(v)
					_, _ = strictjson.Strings(v)
					_, _ = strictjson.Array(v)
					_, _ = strictjson.Number(v)
					_, _ = strictjson.NumericDate(v)
				}
			})
		})
	}
}
