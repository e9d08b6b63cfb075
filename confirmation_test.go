package oauthz_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
)

// An empty member of cnf (RFC 7800 §3.1) would bind the token to nothing, and is an error.
func TestEmptyMemberOfConfirmation(t *testing.T) {
	t.Parallel()
	for _, cnf := range []string{`{"jkt":"","x5t#S256":"abc"}`, `{"x5t#S256":""}`} {
		_, err := oauthz.ParseToken([]byte(`{"cnf":` + cnf + `}`))
		assert.EqualError(t, err, "oauthz: claim cnf: empty")
	}
}
