package polar

import (
	"errors"
	"fmt"
	"time"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// answer reads the members of a JSON object, and keeps the first mistake. The
// names are our own, so that a mistake quotes nothing.
type answer struct {
	members []strictjson.Member
	err     error
}

func readAnswer(body []byte) *answer {
	members, err := strictjson.Object(string(body))
	return &answer{members, err}
}

// has says whether there is a member, and it is not null.
func (a *answer) has(name string) bool {
	value, ok := strictjson.Lookup(a.members, name)
	return ok && value != "null"
}

// value is a member that must be there.
func (a *answer) value(name string) string {
	value, ok := strictjson.Lookup(a.members, name)
	if !ok {
		a.wrong(name, errors.New("missing"))
	}
	return value
}

func (a *answer) wrong(name string, err error) {
	if a.err == nil && err != nil {
		a.err = fmt.Errorf("member %s: %w", name, err)
	}
}

// text is a string that must be there and not empty.
func (a *answer) text(name string) string {
	s, err := strictjson.String(a.value(name))
	if err == nil && s == "" {
		err = errors.New("empty")
	}
	a.wrong(name, err)
	return s
}

// optional is a string, or nothing if there is none.
func (a *answer) optional(name string) string {
	if !a.has(name) {
		return ""
	}
	s, err := strictjson.String(a.value(name))
	a.wrong(name, err)
	return s
}

// boolean must be there: exactly true or false.
func (a *answer) boolean(name string) bool {
	value := a.value(name)
	if value != "true" && value != "false" {
		a.wrong(name, strictjson.ErrType)
	}
	return value == "true"
}

// list is an array of strings that must be there.
func (a *answer) list(name string) []string {
	list, err := strictjson.Strings(a.value(name))
	a.wrong(name, err)
	return list
}

// oneOrMore is a string or an array of them (RFC 7519 §4.1.3) that must be there.
func (a *answer) oneOrMore(name string) []string {
	if s, err := strictjson.String(a.value(name)); err == nil {
		return []string{s}
	}
	return a.list(name)
}

func (a *answer) date(name string) time.Time {
	at, err := strictjson.NumericDate(a.value(name))
	a.wrong(name, err)
	return at
}

// seconds is a lifetime; a hundred years are for ever.
func (a *answer) seconds(name string) time.Duration {
	const most = 100 * 366 * 24 * 3600
	n, err := strictjson.Number(a.value(name))
	if err == nil && n < 0 {
		err = strictjson.ErrType
	}
	a.wrong(name, err)
	return time.Duration(min(max(n, 0), most) * float64(time.Second))
}
