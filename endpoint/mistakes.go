package endpoint

import (
	"errors"
	"fmt"
	"reflect"
)

// mistakes collects every mistake in a configuration.
type mistakes struct {
	in   string // the name of the configuration
	errs []error
}

func (m *mistakes) add(format string, args ...any) {
	m.errs = append(m.errs, fmt.Errorf("endpoint: "+m.in+": config: "+format, args...))
}

func (m *mistakes) require(field string, value any) {
	if isNil(value) {
		m.add("%s is required", field)
	}
}

// requireAuth also checks the configuration of an authenticator of this package.
func (m *mistakes) requireAuth(auth ClientAuthenticator) {
	m.require("Auth", auth)
	if own, ok := auth.(*builtinAuthenticator); ok {
		if err := own.check(); err != nil {
			m.add("Auth: %w", err)
		}
	}
}

func (m *mistakes) join() error { return errors.Join(m.errs...) }

// isNil also reports true for a nil pointer or function inside an interface, which
// would otherwise panic at the first request.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		return rv.IsNil()
	default:
		return false
	}
}
