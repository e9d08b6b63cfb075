// Package strictjson reads JSON with the strictness that security tokens need.
//
// RFC 8259 does not define how a parser treats a repeated member, invalid UTF-8 or
// a lone surrogate. encoding/json accepts all three, and also ignores the case of
// names. Two parsers that differ there read two different tokens from the same
// bytes, which is how forged claims pass a check. This package refuses all of them,
// so that each document has one reading or none (RFC 7519 §4, RFC 8725 §3).
//
// Values are returned as substrings of the document. They are not copied, and they
// are decoded only on request. Errors never hold a byte of the document. They have
// no prefix: the public package that returns them adds its own.
package strictjson

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxDepth is the greatest depth of nested arrays and objects.
const MaxDepth = 64

// The reasons to refuse a document.
var (
	ErrSyntax    = errors.New("not well-formed JSON")
	ErrDuplicate = errors.New("repeated member name")
	ErrUTF8      = errors.New("invalid UTF-8 or lone surrogate")
	ErrDepth     = errors.New("nested too deep")
	ErrType      = errors.New("not of the expected type")
)

// Member is a member of an object: its name without escapes, and its value exactly
// as in the document.
type Member struct {
	Name  string
	Value string
}

// Object checks the whole of doc, at every depth. doc must be one object; Object
// returns the members of that object.
func Object(doc string) ([]Member, error) {
	p := parser{doc: doc}
	members := make([]Member, 0, min(2+len(doc)/24, 32)) // enough for most sets of claims
	p.space()
	if p.peek() != '{' {
		// The rest is checked too, so that null is ErrType and garbage is ErrSyntax.
		if err := p.document(); err != nil {
			return nil, err
		}
		return nil, ErrType
	}
	if err := p.object(1, &members); err != nil {
		return nil, err
	}
	p.space()
	if p.pos != len(p.doc) {
		return nil, ErrSyntax
	}
	return members, nil
}

// Lookup returns the value of the member with exactly this name.
func Lookup(members []Member, name string) (string, bool) {
	for i := range members {
		if members[i].Name == name {
			return members[i].Value, true
		}
	}
	return "", false
}

// WithoutNulls returns doc, which must be one object, without its members that
// are null. It does not change the values of the other members.
func WithoutNulls(doc string) (string, error) {
	members, err := Object(doc)
	if err != nil {
		return "", err
	}
	isNull := func(m Member) bool { return m.Value == "null" }
	if !slices.ContainsFunc(members, isNull) {
		return doc, nil
	}
	var b strings.Builder
	for _, m := range slices.DeleteFunc(members, isNull) {
		name, _ := json.Marshal(m.Name) // a string always marshals
		b.WriteByte(',')
		b.Write(name)
		b.WriteByte(':')
		b.WriteString(m.Value)
	}
	return "{" + strings.TrimPrefix(b.String(), ",") + "}", nil
}

// String returns value, which has been checked, as a string.
func String(value string) (string, error) {
	if len(value) < 2 || value[0] != '"' {
		return "", ErrType
	}
	return unquote(value), nil
}

// Strings returns the elements of value, which has been checked. value must be an
// array, and each element a string.
func Strings(value string) ([]string, error) {
	elements, err := Array(value)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(elements))
	for i, e := range elements {
		if out[i], err = String(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Array returns the elements of value, which has been checked. value must be an
// array.
func Array(value string) ([]string, error) {
	if value == "" || value[0] != '[' {
		return nil, ErrType
	}
	p := parser{doc: value}
	var out []string
	if err := p.array(1, &out); err != nil {
		return nil, err
	}
	return out, nil
}

// Number returns value, which has been checked, as a number. A number that float64
// cannot hold is an error, never an infinity.
func Number(value string) (float64, error) {
	if value == "" || value[0] != '-' && (value[0] < '0' || value[0] > '9') {
		return 0, ErrType
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return 0, ErrType
	}
	return f, nil
}

// NumericDate reads a NumericDate (RFC 7519 §2): any JSON number of seconds. It
// refuses a time outside of the years 1 to 9999: such a time would overflow into
// another time, or be the zero Time, which means that there is no time.
func NumericDate(value string) (time.Time, error) {
	const first, last = -62135596799, 253402300799
	f, err := Number(value)
	if err != nil {
		return time.Time{}, err
	}
	if f < first || f > last {
		return time.Time{}, ErrType
	}
	seconds, fraction := math.Modf(f)
	return time.Unix(int64(seconds), int64(fraction*1e9)).UTC(), nil
}

// unquote returns the string without quotes and escapes. scan has checked it.
func unquote(quoted string) string {
	for i := range len(quoted) {
		if quoted[i] == '\\' {
			var s string
			_ = json.Unmarshal([]byte(quoted), &s) // cannot fail: scan has checked it
			return s
		}
	}
	return quoted[1 : len(quoted)-1]
}
