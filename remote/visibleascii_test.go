package remote_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

func TestVisibleASCII(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"!", "~", "a.b-c_d~e+f/g==", strings.Repeat("a", oauthz.MaxTokenBytes)} {
		assert.True(t, remote.VisibleASCII(good), good)
	}
	for _, bad := range []string{
		"", " ", "a b", "a\n", "a\x00", "a\x1f", "a\x7f", "a\x80", "ä", strings.Repeat("a", oauthz.MaxTokenBytes+1),
	} {
		assert.False(t, remote.VisibleASCII(bad), "%q", bad)
	}
}
