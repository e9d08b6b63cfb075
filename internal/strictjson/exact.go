package strictjson

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// Exact returns doc, a document that has been checked, without the members that v, a
// pointer to the value that [json.Unmarshal] will set, has no field for by exactly
// that name, at every depth. encoding/json also accepts names that differ in case, or
// by a Unicode fold. A type with its own UnmarshalJSON or UnmarshalText keeps its part
// of doc unchanged.
func Exact(doc string, v any) string {
	var out strings.Builder
	writeExact(&out, doc, reflect.TypeOf(v), reflect.ValueOf(v))
	return out.String()
}

// WriteMember writes a member of an object to b, after a comma unless b ends in the
// brace that opens the object. The value must be JSON.
func WriteMember(b *strings.Builder, name, value string) {
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

// writeExact writes value without the members for which typ has no field of exactly
// that name: those that encoding/json would ignore, and those that it would fold.
// dest is the value that will be set, if it exists: encoding/json follows the pointer
// that it finds in an interface.
func writeExact(b *strings.Builder, value string, typ reflect.Type, dest reflect.Value) {
	for typ != nil && (typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Interface) {
		switch {
		case dest.IsValid() && !dest.IsNil():
			dest = dest.Elem()
			typ = dest.Type()
		case typ.Kind() == reflect.Pointer:
			typ, dest = typ.Elem(), reflect.Value{}
		default:
			typ = nil // encoding/json makes a map, a slice or a basic value: no struct fields
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
			return field.typ, field.in(dest), ok
		})
	case reflect.Map:
		writeObject(b, value, func(string) (reflect.Type, reflect.Value, bool) { return typ.Elem(), reflect.Value{}, true })
	case reflect.Slice, reflect.Array:
		writeArray(b, value, typ.Elem(), dest)
	default:
		b.WriteString(value)
	}
}

// target returns the type that a member sets, and the value if it exists. ok is false
// if the member is left out.
type target func(name string) (typ reflect.Type, dest reflect.Value, ok bool)

// writeObject writes the members of an object for which find returns a target.
func writeObject(b *strings.Builder, value string, find target) {
	members, err := Object(value)
	if err != nil { // not an object: encoding/json returns the error
		b.WriteString(value)
		return
	}
	b.WriteByte('{')
	for _, m := range members {
		if typ, dest, ok := find(m.Name); ok {
			writeName(b, m.Name)
			writeExact(b, m.Value, typ, dest)
		}
	}
	b.WriteByte('}')
}

// writeArray writes every element of an array.
func writeArray(b *strings.Builder, value string, elem reflect.Type, dest reflect.Value) {
	elements, err := Array(value)
	if err != nil {
		b.WriteString(value)
		return
	}
	if dest.IsValid() && dest.Kind() == reflect.Slice {
		dest = dest.Slice(0, dest.Cap()) // encoding/json reuses the elements between length and capacity
	}
	b.WriteByte('[')
	for i, e := range elements {
		if i > 0 {
			b.WriteByte(',')
		}
		var element reflect.Value
		if dest.IsValid() && i < dest.Len() {
			element = dest.Index(i)
		}
		writeExact(b, e, elem, element)
	}
	b.WriteByte(']')
}

var fieldCache sync.Map // reflect.Type to map[string]jsonField

// fieldsOf returns the fields of typ that encoding/json sets, by name.
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

// jsonField is a field of a struct, or of a struct that is embedded in it.
type jsonField struct {
	typ    reflect.Type
	index  []int // as for reflect.Value.FieldByIndex
	tagged bool
}

// in returns the field of v, or the zero Value if v or an embedded pointer is missing.
func (f jsonField) in(v reflect.Value) reflect.Value {
	if !v.IsValid() || f.index == nil {
		return reflect.Value{}
	}
	field, err := v.FieldByIndexErr(f.index)
	if err != nil { // behind a nil pointer
		return reflect.Value{}
	}
	return field
}

// collectFields adds to out the fields of typ and of the structs embedded in it.
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

// isTagName reports whether encoding/json accepts name as the name in a tag.
func isTagName(name string) bool {
	for _, r := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return name != ""
}

// dominant returns the field that a name denotes by the rules of Go and of
// encoding/json: the shallowest field, and among several of these the one with a tag.
// ok is false if two are left.
func dominant(list []jsonField) (field jsonField, ok bool) {
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
