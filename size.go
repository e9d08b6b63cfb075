package oauthz

import (
	"math/bits"
	"reflect"
	"slices"
	"strings"

	"github.com/oauthz/oauthz/internal/strictjson"
)

var (
	tokenBytes        = allocated(int(reflect.TypeFor[Token]().Size()))
	memberBytes       = int(reflect.TypeFor[strictjson.Member]().Size())
	stringBytes       = int(reflect.TypeFor[string]().Size())
	confirmationBytes = allocated(int(reflect.TypeFor[Confirmation]().Size()))
)

// Size returns about how many bytes of the heap the token takes, for caches that
// are bounded in bytes. Of a token that [ParseToken] returned, Size is within 20 %.
// Strings that an introspector put into the fields count by their length, as long
// as they are longer than the claims that they replace.
func (t *Token) Size() int {
	size := tokenBytes + allocated(len(t.verdict.TokenHash)) + allocated(len(t.Tenant)) + listBytes(cap(t.claims), memberBytes)
	text := 0
	for i := range t.claims {
		text += textBytes(&t.claims[i])
	}
	size += allocated(text)
	for _, name := range textClaims {
		text, _ := t.textClaim(name)
		size += t.apart(name, text)
	}
	scopes := "scope"
	if _, ok := strictjson.Lookup(t.claims, scopes); !ok {
		scopes = "scp"
	}
	size += listBytes(cap(t.Audience), stringBytes) + t.apart("aud", t.Audience...)
	size += listBytes(cap(t.Scopes), stringBytes) + t.apart(scopes, t.Scopes...)
	if t.verdict.Live != nil {
		size += allocated(stringBytes) // a function and its receiver
	}
	if c := t.Confirmation; c != nil {
		size += confirmationBytes + listBytes(cap(c.other), stringBytes)
		size += t.apart("cnf", slices.Concat([]string{c.JWKThumbprint, c.CertThumbprint}, c.other)...)
	}
	return size
}

// textClaims are the standard claims that are one string.
var textClaims = []string{"iss", "sub", "jti", "client_id", "sid", "username", "acr"}

// textBytes returns how many bytes of a compact document a member takes, with its
// quotes, colon and comma.
func textBytes(m *strictjson.Member) int { return len(m.Name) + len(m.Value) + 4 }

// apart returns how many bytes the strings of a field take in addition to the claim
// that they were read from. A string without an escape is a part of the claim.
func (t *Token) apart(name string, field ...string) int {
	claim, _ := strictjson.Lookup(t.claims, name)
	length, size := 0, 0
	for _, s := range field {
		length, size = length+len(s), size+allocated(len(s))
	}
	switch {
	case length > len(claim): // an introspector has set the field
		return size
	case length == 0 || !strings.Contains(claim, `\`):
		return 0
	case claim[0] == '{': // at most: of cnf, whose names are read too
		return size
	default:
		return unescapedBytes(claim)
	}
}

// unescapedBytes returns how many bytes those strings of a claim take that have an
// escape. The claim is a string or an array.
func unescapedBytes(claim string) (size int) {
	values := []string{claim}
	if claim[0] == '[' {
		values, _ = strictjson.Array(claim) // it has been checked
	}
	for _, value := range values {
		if strings.Contains(value, `\`) {
			s, _ := strictjson.String(value)
			size += allocated(len(s))
		}
	}
	return size
}

// compact moves the text of members, which were read from document, to a string that
// holds only that text, if the document has many other bytes: spaces, and names that
// were copied because they have escapes. The members keep their document in memory
// as long as they are in use.
func compact(document string, members []strictjson.Member) {
	text := 1 // two braces, and one comma less than members
	for i := range members {
		text += textBytes(&members[i])
	}
	waste := len(document) - text
	if waste <= len(document)/16 && (waste == 0 || !strings.Contains(document, `\`)) {
		return
	}
	var b strings.Builder
	b.Grow(text)
	for i := range members {
		b.WriteString(members[i].Name)
		b.WriteString(members[i].Value)
	}
	rest := b.String()
	for i := range members {
		m := &members[i]
		m.Name, rest = rest[:len(m.Name)], rest[len(m.Name):]
		m.Value, rest = rest[:len(m.Value)], rest[len(m.Value):]
	}
}

// listBytes returns how many bytes n elements of a size take that hold pointers:
// from 512 bytes on the allocator adds a word.
func listBytes(n, size int) int {
	if n *= size; n > 512 {
		n += 8
	}
	return allocated(n)
}

// allocated returns about how many bytes the allocator takes for n: its classes
// grow by about an eighth, and from 32 KiB on by pages.
func allocated(n int) int {
	step := 16
	switch {
	case n > 32<<10:
		step = 8 << 10
	case n > 256:
		step = 1 << (bits.Len(uint(n-1)) - 4)
	}
	return (n + step - 1) / step * step
}
