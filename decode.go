package oauthz

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// Decode reads all claims into v, as [json.Unmarshal] would, but for case: a
// member fills a field only if it has exactly the field's name, at every depth.
// encoding/json also takes one that differs in case, or by a Unicode fold, so
// that {"role":"user","ROLE":"admin"} makes an administrator.
//
// Standard claims come from the fields of the Token, like [Token.Claim].
// Types with an UnmarshalJSON of their own see their part as it came.
func (t *Token) Decode(v any) error {
	var doc strings.Builder
	writeExact(&doc, t.json(), reflect.TypeOf(v), reflect.ValueOf(v))
	err := json.Unmarshal([]byte(doc.String()), v)
	if err == nil {
		return nil
	}
	// The texts of encoding/json and of foreign unmarshalers may quote a claim.
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) && mismatch.Field != "" {
		return fmt.Errorf("oauthz: decode: claim for field %s does not fit %s", mismatch.Field, mismatch.Type)
	}
	return fmt.Errorf("oauthz: decode: claims do not fit %s", strings.TrimLeft(fmt.Sprintf("%T", v), "*"))
}

// ClaimsAs reads all claims into a T: see [Token.Decode].
func ClaimsAs[T any](t *Token) (T, error) {
	var v T
	err := t.Decode(&v)
	return v, err
}

// json is one object of all claims: the standard ones from the fields, the rest
// as they came.
func (t *Token) json() string {
	var b strings.Builder
	b.WriteByte('{')
	for _, name := range standardClaims {
		if value, _ := t.field(name); value != "" {
			writeMember(&b, name, value)
		}
	}
	for _, m := range t.claims {
		if _, standard := t.field(m.Name); !standard {
			writeMember(&b, m.Name, m.Value)
		}
	}
	b.WriteByte('}')
	return b.String()
}

func writeMember(b *strings.Builder, name, value string) {
	writeName(b, name)
	b.WriteString(value)
}

func writeName(b *strings.Builder, name string) {
	if b.Len() > 0 && b.String()[b.Len()-1] != '{' {
		b.WriteByte(',')
	}
	b.WriteString(quoted(name))
	b.WriteByte(':')
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// writeExact writes value without the members that typ has no field for by
// exactly that name: the ones that encoding/json would ignore, and those that
// it would fold. at is what will be filled, as far as it exists: encoding/json
// goes on into the pointer that it finds in an interface.
func writeExact(b *strings.Builder, value string, typ reflect.Type, at reflect.Value) {
	for typ != nil && (typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Interface) {
		switch {
		case at.IsValid() && !at.IsNil():
			at = at.Elem()
			typ = at.Type()
		case typ.Kind() == reflect.Pointer:
			typ, at = typ.Elem(), reflect.Value{}
		default:
			typ = nil // what encoding/json makes of it has no fields
		}
	}
	if typ == nil || reflect.PointerTo(typ).Implements(jsonUnmarshaler) || reflect.PointerTo(typ).Implements(textUnmarshaler) {
		b.WriteString(value)
		return
	}
	switch typ.Kind() {
	case reflect.Struct:
		fields := fieldsOf(typ)
		writeObject(b, value, func(name string) (reflect.Type, reflect.Value, bool) {
			field, ok := fields[name]
			return field.typ, field.of(at), ok
		})
	case reflect.Map:
		writeObject(b, value, func(string) (reflect.Type, reflect.Value, bool) { return typ.Elem(), reflect.Value{}, true })
	case reflect.Slice, reflect.Array:
		writeArray(b, value, typ.Elem(), at)
	default:
		b.WriteString(value)
	}
}

// target says what a member fills: a type, and the value if there is one.
type target func(name string) (reflect.Type, reflect.Value, bool)

func writeObject(b *strings.Builder, value string, find target) {
	members, err := strictjson.Object(value)
	if err != nil { // not an object: encoding/json has the right error for it
		b.WriteString(value)
		return
	}
	b.WriteByte('{')
	for _, m := range members {
		if typ, at, ok := find(m.Name); ok {
			writeName(b, m.Name)
			writeExact(b, m.Value, typ, at)
		}
	}
	b.WriteByte('}')
}

func writeArray(b *strings.Builder, value string, elem reflect.Type, at reflect.Value) {
	elements, err := strictjson.Array(value)
	if err != nil {
		b.WriteString(value)
		return
	}
	if at.IsValid() && at.Kind() == reflect.Slice {
		at = at.Slice(0, at.Cap()) // encoding/json fills what lies beyond the length as it finds it
	}
	b.WriteByte('[')
	for i, e := range elements {
		if i > 0 {
			b.WriteByte(',')
		}
		var one reflect.Value
		if at.IsValid() && i < at.Len() {
			one = at.Index(i)
		}
		writeExact(b, e, elem, one)
	}
	b.WriteByte(']')
}

var fieldCache sync.Map // reflect.Type to map[string]jsonField

// fieldsOf returns the fields that encoding/json knows typ by, by name.
func fieldsOf(typ reflect.Type) map[string]jsonField {
	if cached, ok := fieldCache.Load(typ); ok {
		return cached.(map[string]jsonField)
	}
	candidates := map[string][]jsonField{}
	collectFields(typ, nil, nil, candidates)
	fields := make(map[string]jsonField, len(candidates))
	for name, list := range candidates {
		if f, ok := dominant(list); ok {
			fields[name] = f
		}
	}
	fieldCache.Store(typ, fields)
	return fields
}

type jsonField struct {
	typ    reflect.Type
	index  []int // the way to it, through the structs that are embedded
	tagged bool
}

// of returns the field of v, if both exist.
func (f jsonField) of(v reflect.Value) reflect.Value {
	if !v.IsValid() || f.index == nil {
		return reflect.Value{}
	}
	field, err := v.FieldByIndexErr(f.index)
	if err != nil { // behind a nil pointer
		return reflect.Value{}
	}
	return field
}

// collectFields gathers the fields of typ and of the structs embedded in it.
func collectFields(typ reflect.Type, path []int, within []reflect.Type, out map[string][]jsonField) {
	if slices.Contains(within, typ) { // a struct that embeds a pointer to itself
		return
	}
	within = append(slices.Clip(within), typ)
	for i := range typ.NumField() {
		field := typ.Field(i)
		tag := field.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if !isTagName(name) {
			name = ""
		}
		embedded := field.Type
		if embedded.Kind() == reflect.Pointer {
			embedded = embedded.Elem()
		}
		embeds := field.Anonymous && embedded.Kind() == reflect.Struct
		index := append(slices.Clip(path), i)
		switch {
		case tag == "-", !field.IsExported() && !embeds:
		case embeds && name == "":
			collectFields(embedded, index, within, out)
		case name == "":
			out[field.Name] = append(out[field.Name], jsonField{field.Type, index, false})
		default:
			out[name] = append(out[name], jsonField{field.Type, index, true})
		}
	}
}

// isTagName: what encoding/json takes as a name in a tag.
func isTagName(name string) bool {
	for _, r := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return name != ""
}

// dominant picks the field that a name means by Go's rules and encoding/json's:
// the shallowest, and of these the one with a tag; none where two are left.
func dominant(list []jsonField) (jsonField, bool) {
	slices.SortStableFunc(list, func(a, b jsonField) int {
		switch {
		case len(a.index) != len(b.index):
			return len(a.index) - len(b.index)
		case a.tagged == b.tagged:
			return 0
		case a.tagged:
			return -1
		default:
			return 1
		}
	})
	if len(list) > 1 && len(list[0].index) == len(list[1].index) && list[0].tagged == list[1].tagged {
		return jsonField{}, false
	}
	return list[0], true
}
