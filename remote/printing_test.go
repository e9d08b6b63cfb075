package remote_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/remote"
)

// verbs are all letters but p and w, for which package fmt calls no method.
const verbs = "abcdefghijklmnoqrstuvxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// ownAuth is a caller's ClientAuth that keeps its secret in a field.
type ownAuth struct{ secret string }

func (ownAuth) Apply(context.Context, *http.Request, url.Values) error { return nil }

// A value that holds a secret is printed as the name of its type, with every verb,
// and so is a pointer to it.
func TestPrintedByName(t *testing.T) {
	t.Parallel()
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cfg := remote.Config{Endpoint: "https://issuer.example/i", Auth: ownAuth{"canary"}, Audience: []string{audience}}
	in, err := remote.New(t.Context(), cfg)
	require.NoError(t, err)
	for _, tt := range []struct {
		value any
		want  string
	}{
		{remote.PrivateKey{Key: edKey}, "remote.PrivateKey"},
		{&remote.PrivateKey{Key: edKey}, "remote.PrivateKey"},
		{remote.PrivateKey{Key: ecKey}, "remote.PrivateKey"},
		{cfg, "remote.Config"},
		{&cfg, "remote.Config"},
		{in, "remote.Introspector"},
	} {
		for _, verb := range verbs {
			for _, flags := range []string{"%", "%+", "%#"} {
				got := fmt.Sprintf(flags+string(verb), tt.value)
				assert.Equal(t, tt.want, strings.TrimLeft(got, "*"), "%s%c", flags, verb)
			}
		}
		surplus := "%[1]d" // of two arguments
		assert.NotContains(t, fmt.Sprintf(surplus, 1, tt.value), "canary")
	}
}

// encoded returns value in JSON and in the logs of both handlers of log/slog.
func encoded(t *testing.T, value any) string {
	t.Helper()
	var out bytes.Buffer
	raw, err := json.Marshal(value)
	require.NoError(t, err)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "value", value)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "value", value)
	return string(raw) + out.String()
}

func TestPrivateKeyIsEncodedByName(t *testing.T) {
	t.Parallel()
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	for _, key := range []crypto.Signer{edKey, kms{edKey}} {
		got := encoded(t, remote.PrivateKey{Key: key})
		assert.Equal(t, 3, strings.Count(got, "remote.PrivateKey"), got)
		assert.NotContains(t, got, "KeyID")
	}
}
