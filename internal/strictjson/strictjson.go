// Package strictjson reads JSON as security tokens need it read.
//
// RFC 8259 leaves open what a parser does with a repeated member, with invalid
// UTF-8 and with a lone surrogate, and encoding/json takes the lenient side of
// each (and folds the case of names besides). Two parsers that differ there see
// two different tokens, which is how forged claims get past a check. This
// package refuses all of them, so there is one reading or none (RFC 7519 §4,
// RFC 8725 §3).
//
// Values come back as substrings of the document: nothing is copied, and
// nothing is decoded that nobody asks for. Errors never hold a byte of the
// document.
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

// MaxDepth is how deep arrays and objects may nest.
const MaxDepth = 64

// The reasons a document is refused.
var (
	ErrSyntax    = errors.New("strictjson: not well-formed JSON")
	ErrDuplicate = errors.New("strictjson: repeated member name")
	ErrUTF8      = errors.New("strictjson: invalid UTF-8 or lone surrogate")
	ErrDepth     = errors.New("strictjson: nested too deep")
	ErrType      = errors.New("strictjson: not of the expected type")
)

// Member is a member of an object: its name, unescaped, and its value as it
// stands in the document.
type Member struct {
	Name  string
	Value string
}

// Object checks the whole of doc, at every depth, and returns the members of
// the one object that it must be.
func Object(doc string) ([]Member, error) {
	p := parser{doc: doc}
	members := make([]Member, 0, min(2+len(doc)/24, 32)) // what claims usually need
	p.space()
	if p.peek() != '{' {
		// The rest is checked all the same: null and garbage are different mistakes.
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

// Lookup returns the value of the member called name, exactly.
func Lookup(members []Member, name string) (string, bool) {
	for i := range members {
		if members[i].Name == name {
			return members[i].Value, true
		}
	}
	return "", false
}

// WithoutNulls returns doc, which must be one object, without its members that
// are null. It looks into no member.
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

// String returns the string that a checked value is.
func String(value string) (string, error) {
	if len(value) < 2 || value[0] != '"' {
		return "", ErrType
	}
	return unquote(value), nil
}

// Strings returns the strings of a checked value that is an array of nothing
// else.
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

// Array returns the elements of a checked value that is an array.
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

// Number returns the number that a checked value is. One that float64 cannot
// hold is an error, never an infinity.
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

// NumericDate reads a NumericDate (RFC 7519 §2): any JSON number of seconds.
// What is beyond the years 1 to 9999 is refused, since it would overflow into
// another time, or be the zero Time, which means that there is none.
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

// unquote resolves the escapes of a string that scan has checked.
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
