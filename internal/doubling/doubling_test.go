package doubling_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz/internal/doubling"
)

// recorder is a T that keeps its messages.
type recorder struct{ logs, errors []string }

func (*recorder) Helper() {}

func (r *recorder) Logf(format string, args ...any) {
	r.logs = append(r.logs, fmt.Sprintf(format, args...))
}

func (r *recorder) Errorf(format string, args ...any) {
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func linear(size int) func() {
	input, commas := strings.Repeat(",", size), 0
	return func() { commas += strings.Count(input, ",") }
}

// quadratic looks at the rest of the input again for each byte of it.
func quadratic(size int) func() {
	input, commas := strings.Repeat(",", size), 0
	return func() {
		for i := range len(input) {
			for j := i; j < len(input); j++ {
				if input[j] == ',' {
					commas++
				}
			}
		}
	}
}

func TestLinearWorkPasses(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	doubling.Linear(r, 1<<20, linear)
	assert.Empty(t, r.errors)
	assert.Len(t, r.logs, 1)
}

func TestQuadraticWorkFails(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	doubling.Linear(r, 1<<14, quadratic)
	assert.Len(t, r.errors, 1, "%v", r.logs)
}

// All of an input that would take an hour is not tried.
func TestQuadraticWorkFailsSoon(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	doubling.Linear(r, 1<<18, quadratic)
	assert.Len(t, r.errors, 1, "%v", r.logs)
	assert.Len(t, r.logs, 1)
}

// A cost that grows with the size's logarithm, or not at all, is fine too.
func TestConstantWorkPasses(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	doubling.Linear(r, 1<<20, func(int) func() { return linear(1 << 10) })
	assert.Empty(t, r.errors)
}
