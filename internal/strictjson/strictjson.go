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
	"strconv"
	"time"
	"unicode/utf8"
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

// parser checks a document from left to right.
type parser struct {
	doc    string
	pos    int
	nested []Member // those of the objects that are open below the one asked for
}

// peek returns the next byte, or 0 at the end; NUL is legal nowhere in JSON.
func (p *parser) peek() byte {
	if p.pos < len(p.doc) {
		return p.doc[p.pos]
	}
	return 0
}

func (p *parser) space() {
	for p.pos < len(p.doc) {
		switch p.doc[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

func (p *parser) document() error {
	p.space()
	if err := p.value(0); err != nil {
		return err
	}
	p.space()
	if p.pos != len(p.doc) {
		return ErrSyntax
	}
	return nil
}

// value checks one value; depth is how many arrays and objects enclose it.
func (p *parser) value(depth int) error {
	switch c := p.peek(); {
	case c == '"':
		_, err := p.scan()
		return err
	case c == '{':
		outer := len(p.nested)
		err := p.object(depth+1, &p.nested)
		p.nested = p.nested[:outer]
		return err
	case c == '[':
		return p.array(depth+1, nil)
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	case c == 't':
		return p.literal("true")
	case c == 'f':
		return p.literal("false")
	case c == 'n':
		return p.literal("null")
	default:
		return ErrSyntax
	}
}

func (p *parser) literal(word string) error {
	if len(p.doc)-p.pos < len(word) || p.doc[p.pos:p.pos+len(word)] != word {
		return ErrSyntax
	}
	p.pos += len(word)
	return nil
}

// object checks an object and appends its members to out.
func (p *parser) object(depth int, out *[]Member) error {
	if depth > MaxDepth {
		return ErrDepth
	}
	p.pos++ // {
	base := len(*out)
	var seen map[string]bool
	for first := true; ; first = false {
		done, err := p.next('}', first)
		if err != nil || done {
			return err
		}
		name, err := p.name()
		if err != nil {
			return err
		}
		if seen, err = unique(name, (*out)[base:], seen); err != nil {
			return err
		}
		start := p.pos
		*out = append(*out, Member{Name: name})
		if err := p.value(depth); err != nil {
			return err
		}
		(*out)[len(*out)-1].Value = p.doc[start:p.pos]
	}
}

// array checks an array and appends its elements to out, if there is one.
func (p *parser) array(depth int, out *[]string) error {
	if depth > MaxDepth {
		return ErrDepth
	}
	p.pos++ // [
	for first := true; ; first = false {
		done, err := p.next(']', first)
		if err != nil || done {
			return err
		}
		start := p.pos
		if err := p.value(depth); err != nil {
			return err
		}
		if out != nil {
			*out = append(*out, p.doc[start:p.pos])
		}
	}
}

// next moves to the next element, past the comma before it, or past the
// closing byte.
func (p *parser) next(closing byte, first bool) (done bool, err error) {
	p.space()
	if p.peek() == closing {
		p.pos++
		return true, nil
	}
	if first {
		return false, nil
	}
	if p.peek() != ',' {
		return false, ErrSyntax
	}
	p.pos++
	p.space()
	if p.peek() == closing { // a trailing comma
		return false, ErrSyntax
	}
	return false, nil
}

// name reads a member name and the colon after it.
func (p *parser) name() (string, error) {
	if p.peek() != '"' {
		return "", ErrSyntax
	}
	quoted, err := p.scan()
	if err != nil {
		return "", err
	}
	p.space()
	if p.peek() != ':' {
		return "", ErrSyntax
	}
	p.pos++
	p.space()
	return unquote(quoted), nil
}

// unique refuses a name that one of members has. A few are compared one by one,
// which costs no allocation; beyond that a map, seen, keeps a hostile object
// from costing the square of its size.
func unique(name string, members []Member, seen map[string]bool) (map[string]bool, error) {
	const few = 24
	if len(members) < few {
		if _, ok := Lookup(members, name); ok {
			return nil, ErrDuplicate
		}
		return nil, nil
	}
	if seen == nil {
		seen = make(map[string]bool, 2*few)
		for _, m := range members {
			seen[m.Name] = true
		}
	}
	if seen[name] {
		return nil, ErrDuplicate
	}
	seen[name] = true
	return seen, nil
}

// scan checks a string and returns it with its quotes.
func (p *parser) scan() (string, error) {
	start := p.pos
	p.pos++ // "
	for p.pos < len(p.doc) {
		switch c := p.doc[p.pos]; {
		case c == '"':
			p.pos++
			return p.doc[start:p.pos], nil
		case c == '\\':
			if err := p.escape(); err != nil {
				return "", err
			}
		case c < 0x20:
			return "", ErrSyntax
		case c < utf8.RuneSelf:
			p.pos++
		default:
			r, size := utf8.DecodeRuneInString(p.doc[p.pos:])
			if r == utf8.RuneError && size == 1 {
				return "", ErrUTF8
			}
			p.pos += size
		}
	}
	return "", ErrSyntax
}

// escape checks one escape; a surrogate must come as a pair (RFC 8259 §8.2).
func (p *parser) escape() error {
	p.pos++ // \
	switch p.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		p.pos++
		return nil
	case 'u':
	default:
		return ErrSyntax
	}
	unit, err := p.hex4()
	if err != nil || unit < 0xD800 || unit > 0xDFFF {
		return err
	}
	if unit > 0xDBFF || p.peek() != '\\' {
		return ErrUTF8
	}
	p.pos++
	if p.peek() != 'u' {
		return ErrUTF8
	}
	low, err := p.hex4()
	if err == nil && (low < 0xDC00 || low > 0xDFFF) {
		return ErrUTF8
	}
	return err
}

// hex4 reads the u of an escape and the four digits behind it.
func (p *parser) hex4() (uint64, error) {
	if len(p.doc)-p.pos < 5 {
		return 0, ErrSyntax
	}
	digits := p.doc[p.pos+1 : p.pos+5]
	for i := range len(digits) {
		// ParseUint would also take an underscore or a sign in places.
		c := digits[i] | 0x20
		if (digits[i] < '0' || digits[i] > '9') && (c < 'a' || c > 'f') {
			return 0, ErrSyntax
		}
	}
	p.pos += 5
	return strconv.ParseUint(digits, 16, 32)
}

// number checks the grammar of RFC 8259 §6.
func (p *parser) number() error {
	if p.peek() == '-' {
		p.pos++
	}
	if p.peek() == '0' {
		p.pos++
	} else if !p.digits() {
		return ErrSyntax
	}
	if p.peek() == '.' {
		p.pos++
		if !p.digits() {
			return ErrSyntax
		}
	}
	if p.peek()|0x20 == 'e' {
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		if !p.digits() {
			return ErrSyntax
		}
	}
	return nil
}

func (p *parser) digits() bool {
	start := p.pos
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		p.pos++
	}
	return p.pos > start
}
