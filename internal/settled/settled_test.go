package settled_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/oauthz/oauthz/internal/settled"
)

const period = 5 * time.Minute

// reading is a reading of a wall clock, some time after the reading before it.
type reading struct {
	after time.Duration // of monotonic time
	ahead time.Duration // of that
	want  time.Duration // the settled time, since the start; never: zero
}

const never = -1

func TestSettledTime(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name     string
		readings []reading
	}{
		{"one reading settles nothing", []reading{{0, 0, never}, {period - 1, 0, never}}},
		{"two readings that are a period apart", []reading{{0, 0, never}, {period, 0, 0}, {1, 0, 0}, {period, 0, period}}},
		{"ahead at the start", []reading{{0, day, never}, {time.Second, 0, never}, {period, 0, time.Second}}},
		{"ahead at the end of a period", []reading{{0, 0, never}, {period, day, 0}, {1, 0, 0}, {period, 0, period + 1}}},
		{"ahead for less than a period", []reading{
			{0, 0, never}, {period, 0, 0}, {1, day, 0}, {period - 2, day, 0}, {1, 0, period},
		}},
		{"ahead for a period", []reading{{0, day, never}, {period, day, day}}},
		{"back after that", []reading{{0, day, never}, {period, day, day}, {1, 0, period + 1}, {1, 0, period + 1}}},
		{"behind for a moment", []reading{{0, 0, never}, {period, 0, 0}, {period, -day, 2*period - day}, {period, 0, 2*period - day}, {period, 0, 3 * period}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var clock settled.Clock
				start := time.Now()
				for i, r := range tt.readings {
					<-time.After(r.after)
					got := clock.Observe(time.Now().Add(r.ahead), period)
					if r.want == never {
						assert.Zero(t, got, "reading %d", i)
						continue
					}
					assert.Equal(t, r.want, got.Sub(start.Round(0)), "reading %d", i)
				}
			})
		})
	}
}

func TestClockIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	var clock settled.Clock
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				now := time.Now()
				assert.False(t, clock.Observe(now, 1).After(now))
			}
		})
	}
	wg.Wait()
}
