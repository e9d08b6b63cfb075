package oauthz_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// slowList answers after so long, or when its context is done.
type slowList struct{ takes time.Duration }

func (l slowList) Revoked(ctx context.Context, _ *oauthz.Token) (bool, error) {
	select {
	case <-time.After(l.takes):
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// instantList is one that says so.
type instantList struct{ slowList }

func (instantList) NeverWaits() {}

// RV-09: a slow list cannot tell, after a bound.
func TestSlowListCannotTell(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		list    oauthz.RevocationList
		timeout time.Duration
		want    answer
		after   time.Duration
	}{
		{name: "RV-09 slow", list: slowList{5 * time.Second}, want: cannotTell, after: time.Second},
		{name: "RV-09 a bound of one's own", list: slowList{5 * time.Second}, timeout: 3 * time.Second, want: cannotTell, after: 3 * time.Second},
		{name: "RV-09 in time", list: slowList{time.Second - 1}, want: allowed, after: time.Second - 1},
		{name: "no bound", list: slowList{5 * time.Second}, timeout: -1, want: allowed, after: 5 * time.Second},
		{name: "a list in memory has no timer", list: instantList{slowList{5 * time.Second}}, want: allowed, after: 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				guard := newGuard(t, oauthz.Config{Revocations: []oauthz.RevocationList{tt.list}, RevocationTimeout: tt.timeout})
				start := time.Now()
				tt.want.check(t, serve(t, guard, oauthz.Require(), withGoodToken()))
				assert.Equal(t, tt.after, time.Since(start))
			})
		})
	}
}

// RV-09: the same without a Guard.
func TestCheckRevokedIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		checked, err := oauthz.CheckRevoked(knows(`{"iss":"i"}`), slowList{5 * time.Second})
		require.NoError(t, err)
		start := time.Now()
		_, err = checked.Introspect(t.Context(), goodToken)
		require.ErrorIs(t, err, oauthz.ErrUnavailable)
		assert.Equal(t, time.Second, time.Since(start))
	})
}

// RV-08: fail-open only by name, and each time it is told.
func TestInsecureFailOpen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		list  oauthz.RevocationList
		want  answer
		tells error
	}{
		{name: "RV-08 cannot tell", list: listSays{false, errDown}, want: allowed, tells: errDown},
		{name: "RV-08 cannot tell, and says revoked", list: listSays{true, errDown}, want: allowed, tells: errDown},
		{name: "RV-08 slow", list: slowList{5 * time.Second}, want: allowed, tells: context.DeadlineExceeded},
		{name: "revoked", list: listSays{true, nil}, want: badToken},
		{name: "not revoked", list: listSays{false, nil}, want: allowed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var told []error
				open, err := oauthz.InsecureFailOpen(tt.list, func(_ context.Context, err error) { told = append(told, err) })
				require.NoError(t, err)
				guard := newGuard(t, oauthz.Config{Revocations: []oauthz.RevocationList{open}})
				tt.want.check(t, serve(t, guard, oauthz.Require(), withGoodToken()))
				if tt.tells == nil {
					assert.Empty(t, told)
					return
				}
				require.Len(t, told, 1)
				assert.ErrorIs(t, told[0], tt.tells)
			})
		})
	}
	for _, list := range []oauthz.RevocationList{nil, (*oauthz.Revocations)(nil)} {
		_, err := oauthz.InsecureFailOpen(list, func(context.Context, error) {})
		assert.EqualError(t, err, "oauthz: InsecureFailOpen: the list or the report is nil")
	}
	_, err := oauthz.InsecureFailOpen(&oauthz.Revocations{}, nil)
	assert.EqualError(t, err, "oauthz: InsecureFailOpen: the list or the report is nil")
}

// Who hangs up makes any list fail, but no token good: the handler would run all the same.
func TestInsecureFailOpenIsNotForWhoHangsUp(t *testing.T) {
	t.Parallel()
	var told []error
	open, err := oauthz.InsecureFailOpen(slowList{takes: 1 << 40}, func(_ context.Context, err error) { told = append(told, err) })
	require.NoError(t, err)
	guard := newGuard(t, oauthz.Config{Revocations: []oauthz.RevocationList{open}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cannotTell.check(t, serve(t, guard, oauthz.Require(), withGoodToken().WithContext(ctx)))
	assert.Empty(t, told)

	open, err = oauthz.InsecureFailOpen(listSays{true, nil}, func(context.Context, error) {})
	require.NoError(t, err)
	guard = newGuard(t, oauthz.Config{Revocations: []oauthz.RevocationList{open}})
	badToken.check(t, serve(t, guard, oauthz.Require(), withGoodToken().WithContext(ctx)))
}
