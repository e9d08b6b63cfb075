package oauthz

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// matchValue is what a claim can be matched by: its type and its canonical text,
// so that two are equal if they are the same value, and 7 is never "7".
type matchValue struct {
	kind byte // one of the kinds below
	text string
}

const (
	kindString = 's'
	kindNumber = 'n'
	kindBool   = 'b'
)

// matcher is what a Revocation matches by.
type matcher struct {
	issuer string
	names  []string // of the other claims, sorted
	values []matchValue
}

// errNotUTF8: no token has such a claim, and JSON cannot carry it to other instances.
var errNotUTF8 = errors.New("not UTF-8")

// errEmpty: of these claims one that is empty counts as missing. Somebody took a
// jti, say, from a token that has none.
var errEmpty = errors.New("no token has one that is empty")

func newMatcher(match map[string]any) (m matcher, err error) {
	if m.issuer, _ = match["iss"].(string); m.issuer == "" {
		return m, errors.New("match has no iss")
	}
	for name := range match {
		if !utf8.ValidString(name) {
			return m, errNotUTF8
		}
		if name != "iss" {
			m.names = append(m.names, name)
		}
	}
	if !utf8.ValidString(m.issuer) {
		return m, errNotUTF8
	}
	slices.Sort(m.names)
	for _, name := range m.names {
		value, err := matchValueOf(match[name])
		if err != nil {
			return m, fmt.Errorf("match %q: %w", name, err)
		}
		if _, text := new(Token).text(name); text && value == (matchValue{kind: kindString}) {
			return m, fmt.Errorf("match %q: %w", name, errEmpty)
		}
		m.values = append(m.values, value)
	}
	return m, nil
}

func matchValueOf(v any) (matchValue, error) {
	if n, ok := v.(json.Number); ok {
		return numberValue(n.String())
	}
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.String:
		if !utf8.ValidString(rv.String()) {
			return matchValue{}, errNotUTF8
		}
		return matchValue{kindString, rv.String()}, nil
	case reflect.Bool:
		return matchValue{kindBool, strconv.FormatBool(rv.Bool())}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return numberValue(strconv.FormatInt(rv.Int(), 10))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return numberValue(strconv.FormatUint(rv.Uint(), 10))
	case reflect.Float32, reflect.Float64:
		return numberValue(strconv.FormatFloat(rv.Float(), 'g', -1, rv.Type().Bits()))
	default:
		return matchValue{}, fmt.Errorf("a %T cannot be compared; want a string, a number or a bool", v)
	}
}

// any is the value as Revocation.Match holds it.
func (v matchValue) any() any {
	switch v.kind {
	case kindNumber:
		return json.Number(v.text)
	case kindBool:
		return v.text == "true"
	default:
		return v.text
	}
}

// matchable returns what a revocation can name a claim by: of an array, each of
// its elements, the first apart. A claim of one value costs no allocation.
func (t *Token) matchable(name string) (first matchValue, more []matchValue, ok bool) {
	if text, standard := t.text(name); standard {
		return matchValue{kindString, text}, nil, text != ""
	}
	if name == "aud" && len(t.Audience) == 1 {
		return matchValue{kindString, t.Audience[0]}, nil, true
	}
	value, ok := t.claim(name)
	if !ok {
		return first, nil, false
	}
	if value[0] != '[' {
		first, ok = claimValue(value)
		return first, nil, ok
	}
	elements, _ := strictjson.Array(value) // it has been checked
	for _, e := range elements {
		if v, ok := claimValue(e); ok {
			more = append(more, v)
		}
	}
	if len(more) == 0 {
		return first, nil, false
	}
	return more[0], more[1:], true
}

// claimValue reads a checked JSON value, if it is of a kind that can be matched.
func claimValue(value string) (matchValue, bool) {
	switch c := value[0]; {
	case c == '"':
		s, err := strictjson.String(value)
		return matchValue{kindString, s}, err == nil
	case c == 't' || c == 'f':
		return matchValue{kindBool, value}, true
	case c == '-' || '0' <= c && c <= '9':
		v, err := numberValue(value)
		return v, err == nil
	default:
		return matchValue{}, false
	}
}

const (
	maxDigits   = 40 // up to where the canonical text of an integer is its digits
	maxExponent = 1 << 20
)

var errOutOfProportion = errors.New("a number out of all proportion")

// numberValue is exact to the last digit: 7, 7.0 and 70e-1 are one value, and no
// two integers are.
func numberValue(text string) (matchValue, error) {
	if isPlainInteger(text) {
		return matchValue{kindNumber, text}, nil
	}
	if list, err := strictjson.Array("[" + text + "]"); err != nil || len(list) != 1 || strings.Trim(text, "-+.0123456789eE") != "" {
		return matchValue{}, errors.New("not a number that JSON has")
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	shift := 0
	if exponent != "" {
		var err error
		if shift, err = strconv.Atoi(exponent); err != nil || shift > maxExponent || shift < -maxExponent {
			return matchValue{}, errOutOfProportion
		}
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	canonical, ok := canonicalNumber(strings.TrimLeft(whole+fraction, "0"), shift-len(fraction))
	if !ok {
		return matchValue{}, errOutOfProportion
	}
	if negative && canonical != "0" {
		canonical = "-" + canonical
	}
	return matchValue{kindNumber, canonical}, nil
}

// canonicalNumber writes digits × 10^shift. What it writes is read again as the
// same: other instances get numbers in this form.
func canonicalNumber(digits string, shift int) (string, bool) {
	trimmed := strings.TrimRight(digits, "0")
	shift += len(digits) - len(trimmed)
	switch {
	case trimmed == "":
		return "0", true
	case shift >= 0 && len(trimmed)+shift <= maxDigits:
		return trimmed + strings.Repeat("0", shift), true
	default:
		return trimmed + "e" + strconv.Itoa(shift), -maxExponent <= shift && shift <= maxExponent
	}
}

// isPlainInteger: the text is canonical as it stands.
func isPlainInteger(text string) bool {
	digits := strings.TrimPrefix(text, "-")
	if digits == "" || len(digits) > maxDigits || digits[0] == '0' {
		return text == "0"
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	return true
}
