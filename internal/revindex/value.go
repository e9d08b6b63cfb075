package revindex

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// Value is a string, a number or a bool that a claim can be matched by: its type and
// its canonical text. Two Values are equal (==) if they are the same value of the
// same type: 7 is never "7".
type Value struct {
	kind byte
	text string
}

const (
	kindString = 's'
	kindNumber = 'n'
	kindBool   = 'b'
)

// ErrNotUTF8 is returned for a string that no token can have, because JSON cannot
// carry it.
var ErrNotUTF8 = errors.New("not UTF-8")

// String returns the Value of a string, which must be UTF-8.
func String(text string) Value { return Value{kindString, text} }

// ValueOf returns the Value of a Go string, number, bool or json.Number.
func ValueOf(v any) (Value, error) {
	if n, ok := v.(json.Number); ok {
		return numberValue(n.String())
	}
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.String:
		if !utf8.ValidString(rv.String()) {
			return Value{}, ErrNotUTF8
		}
		return Value{kindString, rv.String()}, nil
	case reflect.Bool:
		return Value{kindBool, strconv.FormatBool(rv.Bool())}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return numberValue(strconv.FormatInt(rv.Int(), 10))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return numberValue(strconv.FormatUint(rv.Uint(), 10))
	case reflect.Float32, reflect.Float64:
		return numberValue(strconv.FormatFloat(rv.Float(), 'g', -1, rv.Type().Bits()))
	default:
		return Value{}, fmt.Errorf("a %T cannot be compared; want a string, a number or a bool", v)
	}
}

// ParseValue returns the Value of a well-formed JSON value, and whether it is a
// string, a number or a bool.
func ParseValue(doc string) (Value, bool) {
	switch c := doc[0]; {
	case c == '"':
		s, err := strictjson.String(doc)
		return Value{kindString, s}, err == nil
	case c == 't' || c == 'f':
		return Value{kindBool, doc}, true
	case c == '-' || '0' <= c && c <= '9':
		v, err := numberValue(doc)
		return v, err == nil
	default:
		return Value{}, false
	}
}

// Any returns the value as a string, a json.Number or a bool.
func (v Value) Any() any {
	switch v.kind {
	case kindNumber:
		return json.Number(v.text)
	case kindBool:
		return v.text == "true"
	default:
		return v.text
	}
}

// JSON returns the JSON of the value.
func (v Value) JSON() string {
	if v.kind == kindString {
		doc, _ := json.Marshal(v.text) // a string always marshals
		return string(doc)
	}
	return v.text
}
