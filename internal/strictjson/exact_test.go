package strictjson_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/strictjson"
)

type (
	role struct {
		Role string `json:"role"`
		Name string // encoding/json calls it Name
	}
	nested struct {
		Pointer *role           `json:"pointer"`
		List    []role          `json:"list"`
		Array   [1]role         `json:"array"`
		ByName  map[string]role `json:"by_name"`
		Any     any             `json:"any"`
		When    time.Time       `json:"when"`
		Raw     json.RawMessage `json:"raw"`
	}
	Inner struct {
		Role  string `json:"role"`
		Outer string `json:"outer"`
	}
	embedding struct {
		*Inner
		Outer string `json:"outer"` // shallower than the field of Inner
	}
	recursive struct {
		Role string `json:"role"`
		*Recursive
	}
	Recursive struct{ *Recursive }
	tagged    struct {
		Ignored string `json:"-"`
		//lint:ignore SA5008 this is how encoding/json names a member "-"
		Dash   string `json:"-,"`
		Number int    `json:"number,string"`
		//lint:ignore SA5008 encoding/json does not accept this name
		Quote string `json:"a\"b"`
	}
	ambiguous struct {
		left
		right
		Lower string `json:"same"`
	}
	preferred struct {
		left
		third
	}
	left  struct{ Same, L string }
	right struct{ Same, R string }
	third struct {
		T string `json:"Same"`
	}
)

func TestExactKeepsOnlyExactNames(t *testing.T) {
	t.Parallel()
	var filled any = &role{}
	for _, tt := range []struct {
		name, doc string
		into      any
		want      string
	}{
		{name: "a name in another case", doc: `{"role":"user","ROLE":"admin"}`, into: &role{}, want: `{"role":"user"}`},
		{name: "a name without a field", doc: `{"x":1,"Name":"n"}`, into: &role{}, want: `{"Name":"n"}`},
		{name: "a name with an escape", doc: `{"r\u006fle":"user"}`, into: &role{}, want: `{"role":"user"}`},
		{name: "pointer", doc: `{"pointer":{"ROLE":1,"role":2}}`, into: &nested{}, want: `{"pointer":{"role":2}}`},
		{name: "pointer that is set", doc: `{"pointer":{"ROLE":1}}`, into: &nested{Pointer: &role{}}, want: `{"pointer":{}}`},
		{name: "slice", doc: `{"list":[{"ROLE":1},{"role":2},null]}`, into: &nested{}, want: `{"list":[{},{"role":2},null]}`},
		{name: "slice with elements", doc: `{"list":[{"ROLE":1},{"ROLE":2}]}`, into: &nested{List: make([]role, 1)}, want: `{"list":[{},{}]}`},
		{name: "array", doc: `{"array":[{"ROLE":1}]}`, into: &nested{}, want: `{"array":[{}]}`},
		{name: "map", doc: `{"by_name":{"A":{"ROLE":1},"a":{}}}`, into: &nested{}, want: `{"by_name":{"A":{},"a":{}}}`},
		{name: "interface", doc: `{"any":{"a":1,"A":2}}`, into: &nested{}, want: `{"any":{"a":1,"A":2}}`},
		{name: "interface that holds a pointer", doc: `{"any":{"ROLE":1}}`, into: &nested{Any: filled}, want: `{"any":{}}`},
		{name: "elements after the length of a slice", doc: `[{"ROLE":1}]`, into: func() *[]any { s := []any{filled}[:0]; return &s }(), want: `[{}]`},
		{name: "types that unmarshal themselves", doc: `{"when":{"A":1},"raw":[ {"A":1} ]}`, into: &nested{}, want: `{"when":{"A":1},"raw":[ {"A":1} ]}`},
		{name: "embedded struct", doc: `{"role":1,"Role":2,"outer":3,"OUTER":4}`, into: &embedding{}, want: `{"role":1,"outer":3}`},
		{name: "embedded struct that is set", doc: `{"role":1,"Role":2}`, into: &embedding{Inner: &Inner{}}, want: `{"role":1}`},
		{name: "struct that embeds itself", doc: `{"role":1,"ROLE":2}`, into: &recursive{}, want: `{"role":1}`},
		{name: "tags", doc: `{"Ignored":1,"-":2,"number":"3","a\"b":4,"Quote":5}`, into: &tagged{}, want: `{"-":2,"number":"3","Quote":5}`},
		{name: "two fields of one name and depth", doc: `{"Same":1,"same":2,"L":3,"R":4}`, into: &ambiguous{}, want: `{"same":2,"L":3,"R":4}`},
		{name: "two fields of one name, one with a tag", doc: `{"Same":1,"L":2}`, into: &preferred{}, want: `{"Same":1,"L":2}`},
		{name: "not an object", doc: `7`, into: &role{}, want: `7`},
		{name: "not an array", doc: `{"list":7}`, into: &nested{}, want: `{"list":7}`},
		{name: "nil", doc: `{"a":1}`, into: nil, want: `{"a":1}`},
		{name: "nil pointer", doc: `{"ROLE":1}`, into: (*role)(nil), want: `{}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, tt.want, strictjson.Exact(tt.doc, tt.into))
			require.True(t, json.Valid([]byte(tt.want)))
		})
	}
}

func TestWriteMember(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteByte('{')
	strictjson.WriteMember(&b, "a", "1")
	strictjson.WriteMember(&b, `b"`, `{}`)
	b.WriteByte('}')
	assert.Equal(t, `{"a":1,"b\"":{}}`, b.String())
}
