package strictjson

import (
	"strconv"
	"unicode/utf8"
)

// parser checks a document from left to right.
type parser struct {
	doc    string
	pos    int
	nested []Member // the members of the open objects inside of the top-level object
}

// peek returns the next byte, or 0 at the end. NUL is not legal anywhere in JSON.
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

// value checks one value. depth is the number of arrays and objects around it.
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

// array checks an array and appends its elements to out, unless out is nil.
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

// next moves to the next element, past the comma before it. At the end it moves
// past the closing byte and reports done.
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

// unique returns ErrDuplicate if one of members has the name. It compares a few
// members one by one, without an allocation. With more members it uses a map, seen,
// and returns it for the next call, so that the cost of a hostile object does not
// grow with the square of its size.
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

// escape checks one escape. A surrogate must be half of a pair (RFC 8259 §8.2).
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

// hex4 reads the u of an escape and the four digits after it.
func (p *parser) hex4() (uint64, error) {
	if len(p.doc)-p.pos < 5 {
		return 0, ErrSyntax
	}
	digits := p.doc[p.pos+1 : p.pos+5]
	for i := range len(digits) {
		// ParseUint would also accept an underscore or a sign in some positions.
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
