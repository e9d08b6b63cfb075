package endpoint_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/endpoint"
)

// The key of Signing is never printed, logged or encoded: the name of the type is.
// The verbs %p and %w are left out, because package fmt calls no method for them.
func TestSigningIsPrintedByName(t *testing.T) {
	t.Parallel()
	signing := endpoint.Signing{Key: edKey(t)}
	for _, verb := range "abcdefghijklmnoqrstuvxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" {
		for _, value := range []any{signing, &signing} {
			for _, flags := range []string{"%", "%+", "%#"} {
				assert.Equal(t, "endpoint.Signing", strings.TrimLeft(fmt.Sprintf(flags+string(verb), value), "*"), "%s%c", flags, verb)
			}
		}
	}
	var out bytes.Buffer
	raw, err := json.Marshal(signing)
	require.NoError(t, err)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "value", &signing)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "value", signing)
	got := string(raw) + out.String()
	assert.Equal(t, 3, strings.Count(got, "endpoint.Signing"), got)
	assert.NotContains(t, got, "KeyID")
}
