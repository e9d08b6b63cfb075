package doubling

import (
	"fmt"
	"strings"
)

// Objects returns builders of hostile JSON objects of about n bytes each, by
// name. Some of the objects are not well-formed.
func Objects() map[string]func(n int) string {
	objects := map[string]func(n int) string{
		"members":                      func(n int) string { return members(n, `"%d":1`) },
		"names with a long beginning":  func(n int) string { return members(n, `"`+strings.Repeat("a", 200)+`%d":1`) },
		"names with escapes":           func(n int) string { return members(n, `"\u0061\n%d":1`) },
		"objects of one member":        func(n int) string { return members(n, `"%d":{"a":1}`) },
		"one object of many members":   func(n int) string { return `{"a":` + members(n, `"%d":1`) + `}` },
		"a member twice, at the end":   func(n int) string { return strings.TrimSuffix(members(n, `"%d":1`), "}") + `,"0":1}` },
		"no end":                       func(n int) string { return strings.TrimSuffix(members(n, `"%d":1`), "}") },
		"opening brackets":             func(n int) string { return `{"a":` + strings.Repeat("[", n) },
		"opening braces":               func(n int) string { return strings.Repeat(`{"a":`, n/5) },
		"a long name":                  func(n int) string { return `{"` + strings.Repeat("a", n) + `":1}` },
		"a long name that has escapes": func(n int) string { return `{"` + strings.Repeat(`\n`, n/2) + `":1}` },
		"white space":                  func(n int) string { return `{` + strings.Repeat(" \n\t\r", n/4) + `}` },
		"white space, and no end":      func(n int) string { return strings.Repeat(" ", n) },
	}
	for name, value := range Values() {
		objects["a value: "+name] = func(n int) string { return `{"a":` + value(n) + `}` }
	}
	return objects
}

// Values returns builders of JSON values of about n bytes each, by name. All of
// them are well-formed.
func Values() map[string]func(n int) string {
	return map[string]func(n int) string{
		"a string":          func(n int) string { return `"` + strings.Repeat("a", n) + `"` },
		"a string of words": func(n int) string { return `"` + strings.Repeat("a ", n/2) + `"` },
		"a string of different words": func(n int) string {
			var b strings.Builder
			for i := 0; b.Len() < n; i++ {
				fmt.Fprintf(&b, "%d ", i)
			}
			return `"` + b.String() + `"`
		},
		"a string of spaces":       func(n int) string { return `"` + strings.Repeat(" ", n) + `"` },
		"a string of escapes":      func(n int) string { return `"` + strings.Repeat(`\"`, n/2) + `"` },
		"a string of surrogates":   func(n int) string { return `"` + strings.Repeat(`\ud83d\ude00`, n/12) + `"` },
		"a string of wide letters": func(n int) string { return `"` + strings.Repeat("é", n/2) + `"` },
		"digits":                   func(n int) string { return strings.Repeat("1", n) },
		"digits of a fraction":     func(n int) string { return "0." + strings.Repeat("0", n) + "1" },
		"digits of an exponent":    func(n int) string { return "1e" + strings.Repeat("0", n) + "1" },
		"an array of numbers":      func(n int) string { return array(n, "1") },
		"an array of strings":      func(n int) string { return array(n, `"a"`) },
		"an array of arrays":       func(n int) string { return array(n, "[]") },
		"an array of objects":      func(n int) string { return array(n, `{"a":{"b":1}}`) },
		"an array of deep arrays":  func(n int) string { return array(n, strings.Repeat("[", 50)+strings.Repeat("]", 50)) },
		"an object":                func(n int) string { return members(n, `"%d":"a"`) },
	}
}

func members(n int, format string) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, ","+format, i)
	}
	return "{" + b.String()[1:] + "}"
}

func array(n int, element string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(element+",", n/(len(element)+1)), ",") + "]"
}
