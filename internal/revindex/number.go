package revindex

import (
	"errors"
	"strconv"
	"strings"

	"github.com/oauthz/oauthz/internal/strictjson"
)

const (
	maxDigits   = 40 // of an integer whose canonical text is its digits
	maxExponent = 1 << 20
)

var errExponent = errors.New("a number whose exponent is too large or too small")

// numberValue is exact to the last digit: 7, 7.0 and 70e-1 are one value, and two
// different integers are two values.
func numberValue(text string) (Value, error) {
	if isPlainInteger(text) {
		return Value{kindNumber, text}, nil
	}
	if list, err := strictjson.Array("[" + text + "]"); err != nil || len(list) != 1 || strings.Trim(text, "-+.0123456789eE") != "" {
		return Value{}, errors.New("not a number of JSON")
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	shift := 0
	if exponent != "" {
		var err error
		if shift, err = strconv.Atoi(exponent); err != nil || shift > maxExponent || shift < -maxExponent {
			return Value{}, errExponent
		}
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	canonical, ok := canonicalNumber(strings.TrimLeft(whole+fraction, "0"), shift-len(fraction))
	if !ok {
		return Value{}, errExponent
	}
	if negative && canonical != "0" {
		canonical = "-" + canonical
	}
	return Value{kindNumber, canonical}, nil
}

// canonicalNumber returns the text of digits × 10^shift. Other instances receive
// numbers in this form, and must read the same number from it.
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

// isPlainInteger reports whether text is the canonical text of an integer.
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
