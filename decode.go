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
	typ := targetType(v)
	writeExact(&doc, t.json(), typ)
	err := json.Unmarshal([]byte(doc.String()), v)
	if err == nil {
		return nil
	}
	// The texts of encoding/json and of foreign unmarshalers may quote a claim.
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) && mismatch.Field != "" {
		return fmt.Errorf("oauthz: decode: claim for field %s does not fit %s", mismatch.Field, mismatch.Type)
	}
	return fmt.Errorf("oauthz: decode: claims do not fit %v", typ)
}

// targetType is the type that encoding/json will fill, behind the pointers and
// interfaces that v is made of.
func targetType(v any) reflect.Type {
	rv := reflect.ValueOf(v)
	for rv.IsValid() && (rv.Kind() == reflect.Pointer || rv.Kind() == reflect.Interface) && !rv.IsNil() {
		rv = rv.Elem()
	}
	if !rv.IsValid() {
		return nil
	}
	return rv.Type()
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
	quoted, _ := json.Marshal(name) // a string always marshals
	b.Write(quoted)
	b.WriteByte(':')
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// writeExact writes value without the members that typ has no field for by
// exactly that name: the ones that encoding/json would ignore, and those that
// it would fold.
func writeExact(b *strings.Builder, value string, typ reflect.Type) {
	for typ != nil && typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ == nil || reflect.PointerTo(typ).Implements(jsonUnmarshaler) || reflect.PointerTo(typ).Implements(textUnmarshaler) {
		b.WriteString(value)
		return
	}
	switch typ.Kind() {
	case reflect.Struct:
		fields := fieldsOf(typ)
		writeObject(b, value, func(name string) (reflect.Type, bool) {
			field, ok := fields[name]
			return field, ok
		})
	case reflect.Map:
		writeObject(b, value, func(string) (reflect.Type, bool) { return typ.Elem(), true })
	case reflect.Slice, reflect.Array:
		writeArray(b, value, typ.Elem())
	default:
		b.WriteString(value)
	}
}

func writeObject(b *strings.Builder, value string, typeOf func(name string) (reflect.Type, bool)) {
	members, err := strictjson.Object(value)
	if err != nil { // not an object: encoding/json has the right error for it
		b.WriteString(value)
		return
	}
	b.WriteByte('{')
	for _, m := range members {
		if typ, ok := typeOf(m.Name); ok {
			writeName(b, m.Name)
			writeExact(b, m.Value, typ)
		}
	}
	b.WriteByte('}')
}

func writeArray(b *strings.Builder, value string, elem reflect.Type) {
	elements, err := strictjson.Array(value)
	if err != nil {
		b.WriteString(value)
		return
	}
	b.WriteByte('[')
	for i, e := range elements {
		if i > 0 {
			b.WriteByte(',')
		}
		writeExact(b, e, elem)
	}
	b.WriteByte(']')
}

var fieldCache sync.Map // reflect.Type to map[string]reflect.Type

// fieldsOf returns the fields that encoding/json knows typ by, by name.
func fieldsOf(typ reflect.Type) map[string]reflect.Type {
	if cached, ok := fieldCache.Load(typ); ok {
		return cached.(map[string]reflect.Type)
	}
	candidates := map[string][]jsonField{}
	collectFields(typ, 0, nil, candidates)
	fields := make(map[string]reflect.Type, len(candidates))
	for name, list := range candidates {
		if f, ok := dominant(list); ok {
			fields[name] = f.typ
		}
	}
	fieldCache.Store(typ, fields)
	return fields
}

type jsonField struct {
	typ    reflect.Type
	depth  int
	tagged bool
}

// collectFields gathers the fields of typ and of the structs embedded in it.
func collectFields(typ reflect.Type, depth int, within []reflect.Type, out map[string][]jsonField) {
	if slices.Contains(within, typ) { // a struct that embeds a pointer to itself
		return
	}
	within = append(within, typ)
	for i := range typ.NumField() {
		field := typ.Field(i)
		tag := field.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if strings.ContainsAny(name, "\"'\\`") {
			name = "" // encoding/json does not take it as a name either
		}
		embedded := field.Type
		if embedded.Kind() == reflect.Pointer {
			embedded = embedded.Elem()
		}
		switch {
		case tag == "-":
		case field.Anonymous && name == "" && embedded.Kind() == reflect.Struct:
			collectFields(embedded, depth+1, within, out)
		case !field.IsExported():
		case name == "":
			out[field.Name] = append(out[field.Name], jsonField{field.Type, depth, false})
		default:
			out[name] = append(out[name], jsonField{field.Type, depth, true})
		}
	}
}

// dominant picks the field that a name means by Go's rules and encoding/json's:
// the shallowest, and of these the one with a tag; none where two are left.
func dominant(list []jsonField) (jsonField, bool) {
	slices.SortStableFunc(list, func(a, b jsonField) int {
		if a.depth != b.depth {
			return a.depth - b.depth
		}
		switch {
		case a.tagged == b.tagged:
			return 0
		case a.tagged:
			return -1
		default:
			return 1
		}
	})
	if len(list) > 1 && list[0].depth == list[1].depth && list[0].tagged == list[1].tagged {
		return jsonField{}, false
	}
	return list[0], true
}
