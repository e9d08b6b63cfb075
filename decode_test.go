package oauthz_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

type (
	member struct {
		Role string `json:"role"`
		Name string // encoding/json calls it Name
	}
	group struct {
		Member  member            `json:"member"`
		Pointer *member           `json:"pointer"`
		List    []member          `json:"list"`
		Array   [1]member         `json:"array"`
		ByName  map[string]member `json:"by_name"`
		Deep    map[string][]*member
	}
	Embedded struct {
		Role  string `json:"role"`
		Outer string `json:"outer"`
	}
	embedding struct {
		*Embedded
		Outer string `json:"outer"` // nearer than Embedded's
	}
	recursive struct {
		Role     string     `json:"role"`
		Children *recursive `json:"children"`
		*SelfEmbedded
	}
	SelfEmbedded struct{ *SelfEmbedded }
	ignoring     struct {
		Role string `json:"-"`
		//lint:ignore SA5008 this is how encoding/json names a member "-"
		Dash string `json:"-,"`
		//lint:ignore U1000 encoding/json must not see it, nor may Decode
		hidden string
		Hidden string // encoding/json folds a member "hidden" into it
		Number int    `json:"number,string"`
	}
	ambiguous struct {
		left
		right
		Lower string `json:"same"` // encoding/json folds a member "Same" into it
	}
	left  struct{ Same, L string }
	right struct{ Same, R string }
)

// raw keeps its input. It is a type with its own UnmarshalJSON.
type raw struct{ got string }

func (r *raw) UnmarshalJSON(b []byte) error {
	r.got = string(b)
	return nil
}

// level is a type with its own UnmarshalText.
type level struct{ Name string }

func (l *level) UnmarshalText(b []byte) error {
	l.Name = strings.ToLower(string(b))
	return nil
}

type custom struct {
	Raw     raw             `json:"raw"`
	Level   level           `json:"level"`
	Message json.RawMessage `json:"message"`
	When    time.Time       `json:"when"`
	Any     any             `json:"any"`
}

var user = member{Role: "user"}

// decodeTests are claims with names that encoding/json would fold.
var decodeTests = []struct {
	name, claims string
	decode       func(*oauthz.Token) (any, error)
	want         any
}{
	{name: "other spelling last", claims: `{"role":"user","ROLE":"admin"}`, decode: as[member], want: user},
	{name: "other spelling first", claims: `{"ROLE":"admin","role":"user"}`, decode: as[member], want: user},
	{name: "other spelling alone", claims: `{"Role":"admin","name":"x"}`, decode: as[member], want: member{}},
	{name: "long s and Kelvin sign", claims: `{"\u017fub":"x","\u212aey":"x"}`, decode: as[struct{ Sub, Key string }], want: struct{ Sub, Key string }{}},
	{name: "struct in a struct", claims: `{"member":{"role":"user","ROLE":"admin"}}`, decode: as[group], want: group{Member: user}},
	{name: "pointer", claims: `{"pointer":{"ROLE":"admin","role":"user"}}`, decode: as[group], want: group{Pointer: &user}},
	{name: "slice", claims: `{"list":[{"role":"user","ROLE":"admin"},{}]}`, decode: as[group], want: group{List: []member{user, {}}}},
	{name: "array", claims: `{"array":[{"role":"user","ROLE":"admin"}]}`, decode: as[group], want: group{Array: [1]member{user}}},
	{name: "map", claims: `{"by_name":{"A":{"role":"user","ROLE":"admin"},"a":{}}}`, decode: as[group], want: group{ByName: map[string]member{"A": user, "a": {}}}},
	{name: "map of slices of pointers", claims: `{"Deep":{"x":[{"role":"user","Role":"admin"},null]}}`, decode: as[group], want: group{Deep: map[string][]*member{"x": {&user, nil}}}},
	{name: "embedded pointer", claims: `{"role":"user","Role":"admin","outer":"o","OUTER":"p"}`, decode: as[embedding], want: embedding{Embedded: &Embedded{Role: "user"}, Outer: "o"}},
	{name: "recursive", claims: `{"children":{"children":{"role":"user","ROLE":"admin"}}}`, decode: as[recursive], want: recursive{Children: &recursive{Children: &recursive{Role: "user"}}}},
	{name: "a claim that does not fit", claims: `{"x":1}`, decode: as[map[string]member], want: nil},
	{name: "pointer to a pointer", claims: `{"role":"user","ROLE":"admin"}`, decode: as[**member], want: pointer(&user)},
	{name: "map keeps both", claims: `{"role":"user","ROLE":"admin"}`, decode: as[map[string]string], want: map[string]string{"role": "user", "ROLE": "admin"}},
	{name: "any keeps both", claims: `{"role":"user","ROLE":"admin"}`, decode: as[any], want: map[string]any{"role": "user", "ROLE": "admin"}},
	{name: "ignored, dash, hidden and quoted", claims: `{"Role":"x","-":"d","hidden":"x","number":"7"}`, decode: as[ignoring], want: ignoring{Dash: "d", Number: 7}},
	{name: "a name that two embedded structs have", claims: `{"Same":"x","L":"l","R":"r"}`, decode: as[ambiguous], want: ambiguous{left: left{L: "l"}, right: right{R: "r"}}},
	{name: "null", claims: `{"role":null,"member":null}`, decode: as[group], want: group{}},
	{
		name: "types that decode themselves receive their part as it was parsed", decode: as[custom],
		claims: `{"raw":{"a":1, "A":2},"level":"HIGH","message":[ {"A":1} ],"when":"2026-01-02T03:04:05Z","any":{"a":1,"A":2}}`,
		want:   custom{raw{`{"a":1, "A":2}`}, level{"high"}, json.RawMessage(`[ {"A":1} ]`), epoch, map[string]any{"a": 1.0, "A": 2.0}},
	},
}

// TestDecodeIsExact: a member sets a field only by its exact name, at every depth, whether the other spelling comes first
// or last.
func TestDecodeIsExact(t *testing.T) {
	t.Parallel()
	for _, tt := range decodeTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.decode(parse(t, tt.claims))
			if tt.want == nil {
				assert.Error(t, err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

func as[T any](t *oauthz.Token) (any, error) { return oauthz.ClaimsAs[T](t) }

func pointer[T any](v T) *T { return &v }

// Standard claims are made from the fields: a value that an introspector has set is decoded, and a claim that a token must
// not set is not.
func TestDecodeStandardClaims(t *testing.T) {
	t.Parallel()
	token := parse(t, `{"iss":"i","aud":"x","exp":1e9,"acr":7,"token_sha256":"forged","org":"o"}`)
	token.Subject, token.Issuer = "filled", "changed"
	type claims struct {
		Issuer string   `json:"iss"`
		Sub    string   `json:"sub"`
		Exp    int64    `json:"exp"`
		ACR    *float64 `json:"acr"`
		Hash   *string  `json:"token_sha256"`
		Org    string   `json:"org"`
	}
	got, err := oauthz.ClaimsAs[claims](token)
	require.NoError(t, err)
	assert.Equal(t, claims{Issuer: "changed", Sub: "filled", Exp: 1e9, Org: "o"}, got)
}

// Decode keeps the fields of v that the claims do not name, as json.Unmarshal does.
func TestDecodeIntoValues(t *testing.T) {
	t.Parallel()
	token := parse(t, `{"role":"user","ROLE":"admin"}`)
	filled := member{Role: "before", Name: "kept"}
	require.NoError(t, token.Decode(&filled))
	assert.Equal(t, member{Role: "user", Name: "kept"}, filled)

	var inside any = &member{Name: "kept"}
	require.NoError(t, token.Decode(&inside))
	assert.Equal(t, &member{Role: "user", Name: "kept"}, inside)

	// encoding/json reuses the elements between the length and the capacity of a slice.
	beyond := struct {
		List []any `json:"list"`
	}{[]any{&member{Name: "kept"}}[:0]}
	require.NoError(t, parse(t, `{"list":[{"role":"user","ROLE":"admin"}]}`).Decode(&beyond))
	assert.Equal(t, []any{&member{Role: "user", Name: "kept"}}, beyond.List)
}

// decodeErrorTests are types that the claims of TestDecodeErrors do not fit.
var decodeErrorTests = []struct {
	name string
	into any
	want string
}{
	{name: "a field of another type", into: &struct{ Role int }{}, want: ""},
	{name: "a field by its tag", into: &struct {
		Role int `json:"role"`
	}{}, want: "oauthz: decode: claim for field role does not fit int"},
	{name: "a field below", into: &struct {
		List []struct{ A int } `json:"list"`
	}{}, want: "oauthz: decode: claim for field list does not fit "},
	{name: "a quoted number", into: &struct {
		Number int `json:"number,string"`
	}{}, want: "oauthz: decode: claim"},
	{name: "a number that is too large", into: &struct {
		Huge float64 `json:"huge"`
	}{}, want: "oauthz: decode: claim for field huge does not fit float64"},
	{name: "a time", into: &struct {
		When time.Time `json:"when"`
	}{}, want: "oauthz: decode: claims do not fit struct"},
	{name: "a type that fails", into: &struct {
		Self failing `json:"self"`
	}{}, want: "oauthz: decode: claims do not fit struct"},
	{name: "a map", into: &map[string]int{}, want: "oauthz: decode: claims do not fit map[string]int"},
	{name: "a map with numbers for names", into: &map[int]any{}, want: "oauthz: decode: claims do not fit map[int]interface {}"},
	{name: "a list", into: &[]string{}, want: "oauthz: decode: claims do not fit []string"},
	{name: "a value", into: member{}, want: "oauthz: decode: claims do not fit oauthz_test.member"},
	{name: "nil", into: nil, want: "oauthz: decode: claims do not fit <nil>"},
	{name: "nil pointer", into: (*member)(nil), want: "oauthz: decode: claims do not fit oauthz_test.member"},
}

// Errors name the field and the type, and hold no part of the token.
func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	token := parse(t, `{"role":"CANARY","number":"CANARY","list":["CANARY"],"huge":1e400,"when":"CANARY","CANARY":7,"self":"CANARY"}`)
	for _, tt := range decodeErrorTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := token.Decode(tt.into)
			if tt.want == "" {
				assert.NoError(t, err, "no claim has that name")
				return
			}
			require.ErrorContains(t, err, tt.want)
			assert.NotContains(t, err.Error(), "CANARY")
		})
	}
}

// failing quotes its input in its error, as many unmarshalers do.
type failing struct{}

func (*failing) UnmarshalJSON(b []byte) error { return errors.New("cannot read " + string(b)) }
