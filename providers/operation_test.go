package providers_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers"
)

func TestOperationError(t *testing.T) {
	t.Parallel()
	noToken := fmt.Errorf("%w: the token is empty", providers.ErrNoCredential)
	for want, e := range map[string]*providers.OperationError{
		"gusto: revoke":             {Vendor: "gusto", Operation: "revoke"},
		"gusto: revoke: status 403": {Vendor: "gusto", Operation: "revoke", Status: 403},
		"polar: token: status 503: " + oauthz.ErrUnavailable.Error(): {Vendor: "polar", Operation: "token", Status: 503, Err: oauthz.ErrUnavailable},
		"affix: introspect: no credential: the token is empty":       {Vendor: "affix", Operation: "introspect", Err: noToken},
	} {
		assert.EqualError(t, e, want)
		assert.Equal(t, e.Err, e.Unwrap())
		if e.Err != nil {
			assert.ErrorIs(t, e, e.Err)
		}
	}
	assert.ErrorIs(t, &providers.OperationError{Err: noToken}, providers.ErrNoCredential)
}
