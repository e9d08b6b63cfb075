package oauthz_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// Decode compares names exactly also behind an interface that holds a pointer, for tags that encoding/json
// does not accept as names, and for embedded structs with a name.
func TestDecodeIsExactEverywhere(t *testing.T) {
	t.Parallel()
	type role struct {
		Role string `json:"role"`
	}
	token, err := oauthz.ParseToken([]byte(`{"realm":{"role":"user","ROLE":"admin"},"list":[{"role":"user","ROLE":"admin"}],"Price":7,"inner":{"role":"user","ROLE":"admin"}}`))
	require.NoError(t, err)

	held := struct {
		Realm any   `json:"realm"`
		List  []any `json:"list"`
	}{&role{}, []any{&role{}}}
	require.NoError(t, token.Decode(&held))
	assert.Equal(t, &role{"user"}, held.Realm)

	var target any = &struct {
		Realm role `json:"realm"`
	}{}
	require.NoError(t, token.Decode(&target))
	assert.Equal(t, &struct {
		Realm role `json:"realm"`
	}{role{"user"}}, target)

	var tags struct {
		Price int `json:"pri€e"`
		inner `json:"inner"`
	}
	require.NoError(t, token.Decode(&tags))
	assert.Equal(t, 7, tags.Price)
	assert.Equal(t, "user", tags.Role)
}

type inner struct {
	Role string `json:"role"`
}
