package strictjson_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// manyMembers are one hundred members, m0 to m99.
var manyMembers = func() string {
	members := make([]string, 100)
	for i := range members {
		members[i] = fmt.Sprintf(`"m%d":0`, i)
	}
	return strings.Join(members, ",")
}()

var refusedDocuments = []struct {
	name, doc string
	want      error
}{
	{"empty", "", strictjson.ErrSyntax},
	{"null", "null", strictjson.ErrType},
	{"array", "[]", strictjson.ErrType},
	{"string", `"a"`, strictjson.ErrType},
	{"garbage", "{]", strictjson.ErrSyntax},
	{"unclosed", `{"a":1`, strictjson.ErrSyntax},
	{"trailing object", `{}{}`, strictjson.ErrSyntax},
	{"trailing NUL", "{}\x00", strictjson.ErrSyntax},
	{"byte order mark", "\xef\xbb\xbf{}", strictjson.ErrSyntax},
	{"trailing comma", `{"a":1,}`, strictjson.ErrSyntax},
	{"trailing comma in array", `{"a":[1,]}`, strictjson.ErrSyntax},
	{"no comma", `{"a":1 "b":2}`, strictjson.ErrSyntax},
	{"single quotes", `{'a':1}`, strictjson.ErrSyntax},
	{"control character", "{\"a\":\"\n\"}", strictjson.ErrSyntax},
	{"bad escape", `{"a":"\x"}`, strictjson.ErrSyntax},
	{"short hex", `{"a":"\u12"}`, strictjson.ErrSyntax},
	{"signed hex", `{"a":"\u+123"}`, strictjson.ErrSyntax},
	{"leading zero", `{"a":01}`, strictjson.ErrSyntax},
	{"plus", `{"a":+1}`, strictjson.ErrSyntax},
	{"hex number", `{"a":0x1}`, strictjson.ErrSyntax},
	{"no fraction", `{"a":1.}`, strictjson.ErrSyntax},
	{"no exponent", `{"a":1e}`, strictjson.ErrSyntax},
	{"infinity", `{"a":Infinity}`, strictjson.ErrSyntax},
	{"duplicate", `{"a":1,"a":1}`, strictjson.ErrDuplicate},
	{"duplicate through an escape", `{"sub":1,"\u0073ub":1}`, strictjson.ErrDuplicate},
	{"duplicate below", `{"a":[{"b":{"c":1,"c":2}}]}`, strictjson.ErrDuplicate},
	{"duplicate after a hundred", `{` + manyMembers + `,"m99":1}`, strictjson.ErrDuplicate},
	{"duplicate of an early one", `{` + manyMembers + `,"m0":1}`, strictjson.ErrDuplicate},
	{"invalid UTF-8", "{\"a\":\"\xff\"}", strictjson.ErrUTF8},
	{"invalid UTF-8 name", "{\"\xc3\":1}", strictjson.ErrUTF8},
	{"lone high surrogate", `{"a":"\ud800"}`, strictjson.ErrUTF8},
	{"lone low surrogate", `{"a":"\udc00"}`, strictjson.ErrUTF8},
	{"two high surrogates", `{"a":"\ud800\ud800"}`, strictjson.ErrUTF8},
	{"high surrogate and text", `{"a":"\ud800x"}`, strictjson.ErrUTF8},
	{"too deep", `{"a":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, strictjson.ErrDepth},
	{"20,000 deep", strings.Repeat(`{"a":`, 20_000), strictjson.ErrDepth},
}

func TestObjectRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range refusedDocuments {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := strictjson.Object(tt.doc)
			assert.ErrorIs(t, err, tt.want)
		})
	}
}

func TestObjectReads(t *testing.T) {
	t.Parallel()
	members, err := strictjson.Object(" {\r\n\"a\" : \"x\\/\\ud83d\\ude00\" ,\t\"b\":[ 1, \"two\" ],\"\\u0063\":{\"a\":null},\"A\":-1.5e+2,\"d\":{\"a\":1}}\n")
	require.NoError(t, err)
	assert.Equal(t, []strictjson.Member{
		{Name: "a", Value: `"x\/\ud83d\ude00"`},
		{Name: "b", Value: `[ 1, "two" ]`},
		{Name: "c", Value: `{"a":null}`},
		{Name: "A", Value: `-1.5e+2`},
		{Name: "d", Value: `{"a":1}`},
	}, members)

	a, err := strictjson.String(members[0].Value)
	require.NoError(t, err)
	assert.Equal(t, "x/😀", a)
	b, err := strictjson.Array(members[1].Value)
	require.NoError(t, err)
	assert.Equal(t, []string{"1", `"two"`}, b)
	_, err = strictjson.Strings(members[1].Value)
	require.ErrorIs(t, err, strictjson.ErrType)
	n, err := strictjson.Number(members[3].Value)
	require.NoError(t, err)
	assert.InDelta(t, -150, n, 0)
	value, ok := strictjson.Lookup(members, "A")
	assert.True(t, ok)
	assert.Equal(t, "-1.5e+2", value)
	_, ok = strictjson.Lookup(members, "B")
	assert.False(t, ok, "names are compared exactly")
}

func TestValuesOfTheWrongType(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "1", "null", "{}", "[]"} {
		_, err := strictjson.String(value)
		assert.ErrorIs(t, err, strictjson.ErrType, "String(%s)", value)
	}
	for _, value := range []string{"", `"1"`, "null", "true", "[1]", "1e400", "-1e400"} {
		_, err := strictjson.Number(value)
		assert.ErrorIs(t, err, strictjson.ErrType, "Number(%s)", value)
	}
	for _, value := range []string{"", `"a"`, "null", "{}", `["a",1]`, `["a",null]`} {
		_, err := strictjson.Strings(value)
		assert.ErrorIs(t, err, strictjson.ErrType, "Strings(%s)", value)
	}
}

func TestNumericDate(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Time{
		"0":             time.Unix(0, 0),
		"-0":            time.Unix(0, 0),
		"-1":            time.Unix(-1, 0),
		"1e-400":        time.Unix(0, 0),
		"4102444800.0":  time.Unix(4102444800, 0),
		"41024448E+2":   time.Unix(4102444800, 0),
		"1.5":           time.Unix(1, 5e8),
		"-1.5":          time.Unix(-2, 5e8),
		"253402300799":  time.Unix(253402300799, 0),
		"-62135596799":  time.Unix(-62135596799, 0),
		"1735689600":    time.Unix(1735689600, 0),
		"17356896000e0": time.Unix(17356896000, 0),
	} {
		got, err := strictjson.NumericDate(value)
		require.NoError(t, err, value)
		assert.True(t, want.Equal(got), "%s: want %v, got %v", value, want, got)
	}
	for _, value := range []string{
		"", `"0"`, "null", "true", "[0]", "1e400", "1e308", "1e30", "1e19", "9223372036854775807", "-1e400", "253402300800",
		"-62135596800", // would be the zero Time, which means that there is no time
	} {
		_, err := strictjson.NumericDate(value)
		assert.ErrorIs(t, err, strictjson.ErrType, value)
	}
}

// FuzzObject compares Object with encoding/json: a document that Object accepts,
// encoding/json accepts too, with the same members and values. So Object refuses
// every document that encoding/json refuses.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,2,{"b":null}],"c":"\ud83d\ude00"}`, `{"a":1,"\u0061":2}`, `{"a":-0.1E-7}`, "{\"\xff\":1}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		members, err := strictjson.Object(doc)
		var std map[string]json.RawMessage
		stdErr := json.Unmarshal([]byte(doc), &std)
		if err != nil {
			return
		}
		require.NoError(t, stdErr)
		require.Len(t, members, len(std))
		for _, m := range members {
			require.Equal(t, string(std[m.Name]), m.Value)
		}
	})
}

func TestWithoutNulls(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{}`:                          `{}`,
		` {"a":1} `:                   ` {"a":1} `,
		`{"a":null}`:                  `{}`,
		`{"a": null ,"b":{"c":null}}`: `{"b":{"c":null}}`,
		`{"a":1,"b":null,"\u0063\"<":[null, 1],"d":null,"e":"null"}`: `{"a":1,"c\"\u003c":[null, 1],"e":"null"}`,
	} {
		got, err := strictjson.WithoutNulls(doc)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for doc, want := range map[string]error{
		`null`: strictjson.ErrType, `[null]`: strictjson.ErrType, `{"a":null`: strictjson.ErrSyntax, `{"a":null,"a":1}`: strictjson.ErrDuplicate,
	} {
		_, err := strictjson.WithoutNulls(doc)
		assert.ErrorIs(t, err, want, doc)
	}
}
