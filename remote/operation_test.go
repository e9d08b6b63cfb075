package remote_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/remote"
)

func TestOperationError(t *testing.T) {
	t.Parallel()
	noToken := fmt.Errorf("%w: the token is empty", remote.ErrNoCredential)
	for want, e := range map[string]*remote.OperationError{
		"gusto: revoke":             {Vendor: "gusto", Operation: "revoke"},
		"gusto: revoke: status 403": {Vendor: "gusto", Operation: "revoke", Status: 403},
		"polar: token: status 503: " + oauthz.ErrUnavailable.Error():   {Vendor: "polar", Operation: "token", Status: 503, Err: oauthz.ErrUnavailable},
		"affix: introspect: remote: no credential: the token is empty": {Vendor: "affix", Operation: "introspect", Err: noToken},
	} {
		assert.EqualError(t, e, want)
		assert.Equal(t, e.Err, e.Unwrap())
		if e.Err != nil {
			assert.ErrorIs(t, e, e.Err)
		}
	}
	assert.ErrorIs(t, &remote.OperationError{Err: noToken}, remote.ErrNoCredential)
}

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
