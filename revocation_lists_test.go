package oauthz_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// An error of a list is a fault (503), of any error that it wraps. The lists are read in order, each time.
func TestErrorOfAListIsAFault(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		lists []oauthz.RevocationList
		want  answer
	}{
		{name: "down", lists: []oauthz.RevocationList{listSays{false, errors.New("down")}}, want: cannotTell},
		{name: "down, and reports revoked", lists: []oauthz.RevocationList{listSays{true, errors.New("down")}}, want: cannotTell},
		{name: "timeout", lists: []oauthz.RevocationList{listSays{false, context.DeadlineExceeded}}, want: cannotTell},
		{name: "wraps a refusal", lists: []oauthz.RevocationList{listSays{false, oauthz.ErrInvalidToken}}, want: cannotTell},
		{name: "wraps no token", lists: []oauthz.RevocationList{listSays{false, oauthz.ErrNoToken}}, want: cannotTell},
		{name: "wraps another answer", lists: []oauthz.RevocationList{listSays{false, &oauthz.Error{Status: 401, Code: "invalid_token"}}}, want: cannotTell},
		{name: "the second is down", lists: []oauthz.RevocationList{listSays{}, listSays{false, errors.New("down")}}, want: cannotTell},
		{name: "the first has it", lists: []oauthz.RevocationList{listSays{true, nil}, listSays{false, errors.New("down")}}, want: badToken},
		{name: "the second has it", lists: []oauthz.RevocationList{listSays{}, listSays{true, nil}}, want: badToken},
		{name: "no list has it", lists: []oauthz.RevocationList{listSays{}, listSays{}}, want: allowed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, req := range []oauthz.Requirement{{}, oauthz.Require().OrAnonymous()} {
				tt.want.check(t, serve(t, newGuard(t, oauthz.Config{RevocationLists: tt.lists}), req, withGoodToken()))
			}
			checked, err := oauthz.CheckRevoked(knows(`{}`), tt.lists...)
			require.NoError(t, err)
			tt.want.check(t, serve(t, newGuard(t, oauthz.Config{Introspector: checked}), oauthz.Require(), withGoodToken()))
		})
	}
}

// slowList returns after a time, or when its context is done.
type slowList struct{ takes time.Duration }

func (l slowList) Revoked(ctx context.Context, _ *oauthz.Token) (bool, error) {
	select {
	case <-time.After(l.takes):
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// instantList is a slowList that has NeverWaits.
type instantList struct{ slowList }

func (instantList) NeverWaits() {}

// A list that does not answer within the limit is a fault.
func TestSlowListIsAFault(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		list    oauthz.RevocationList
		timeout time.Duration
		want    answer
		after   time.Duration
	}{
		{name: "slow", list: slowList{5 * time.Second}, want: cannotTell, after: time.Second},
		{name: "a limit of the configuration", list: slowList{5 * time.Second}, timeout: 3 * time.Second, want: cannotTell, after: 3 * time.Second},
		{name: "in time", list: slowList{time.Second - 1}, want: allowed, after: time.Second - 1},
		{name: "no limit", list: slowList{5 * time.Second}, timeout: -1, want: allowed, after: 5 * time.Second},
		{name: "a list in memory has no timer", list: instantList{slowList{5 * time.Second}}, want: allowed, after: 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				guard := newGuard(t, oauthz.Config{RevocationLists: []oauthz.RevocationList{tt.list}, RevocationTimeout: tt.timeout})
				start := time.Now()
				tt.want.check(t, serve(t, guard, oauthz.Require(), withGoodToken()))
				assert.Equal(t, tt.after, time.Since(start))
			})
		})
	}
}

// The limit applies without a Guard too.
func TestCheckRevokedLimitsSlowLists(t *testing.T) {
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

// InsecureFailOpen accepts a token if its list fails, and reports each such error.
func TestInsecureFailOpen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		list     oauthz.RevocationList
		want     answer
		reported error
	}{
		{name: "an error", list: listSays{false, errDown}, want: allowed, reported: errDown},
		{name: "an error, and reports revoked", list: listSays{true, errDown}, want: allowed, reported: errDown},
		{name: "slow", list: slowList{5 * time.Second}, want: allowed, reported: context.DeadlineExceeded},
		{name: "revoked", list: listSays{true, nil}, want: badToken},
		{name: "not revoked", list: listSays{false, nil}, want: allowed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var reports []error
				open, err := oauthz.InsecureFailOpen(tt.list, func(_ context.Context, err error) { reports = append(reports, err) })
				require.NoError(t, err)
				guard := newGuard(t, oauthz.Config{RevocationLists: []oauthz.RevocationList{open}})
				tt.want.check(t, serve(t, guard, oauthz.Require(), withGoodToken()))
				if tt.reported == nil {
					assert.Empty(t, reports)
					return
				}
				require.Len(t, reports, 1)
				assert.ErrorIs(t, reports[0], tt.reported)
			})
		})
	}
	for _, list := range []oauthz.RevocationList{nil, (*oauthz.MemoryRevocations)(nil)} {
		_, err := oauthz.InsecureFailOpen(list, func(context.Context, error) {})
		assert.EqualError(t, err, "oauthz: InsecureFailOpen: the list or the report is nil")
	}
	_, err := oauthz.InsecureFailOpen(&oauthz.MemoryRevocations{}, nil)
	assert.EqualError(t, err, "oauthz: InsecureFailOpen: the list or the report is nil")
}

// A client that disconnects makes any list fail. That must not make its token good: the handler would still run.
func TestInsecureFailOpenRefusesWhenTheClientDisconnects(t *testing.T) {
	t.Parallel()
	var reports []error
	open, err := oauthz.InsecureFailOpen(slowList{takes: 1 << 40}, func(_ context.Context, err error) { reports = append(reports, err) })
	require.NoError(t, err)
	guard := newGuard(t, oauthz.Config{RevocationLists: []oauthz.RevocationList{open}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cannotTell.check(t, serve(t, guard, oauthz.Require(), withGoodToken().WithContext(ctx)))
	assert.Empty(t, reports)

	open, err = oauthz.InsecureFailOpen(listSays{true, nil}, func(context.Context, error) {})
	require.NoError(t, err)
	guard = newGuard(t, oauthz.Config{RevocationLists: []oauthz.RevocationList{open}})
	badToken.check(t, serve(t, guard, oauthz.Require(), withGoodToken().WithContext(ctx)))
}

// If the error of a list has a RetryAfter, the answer has a Retry-After.
func TestFaultOfAListHasRetryAfter(t *testing.T) {
	t.Parallel()
	limited := listSays{false, &oauthz.Error{Status: 503, RetryAfter: time.Minute, Err: errDown}}
	w := &watch{}
	got := serve(t, newGuard(t, oauthz.Config{RevocationLists: []oauthz.RevocationList{limited}, Observe: w.observe}), oauthz.Require(), withGoodToken())
	cannotTell.check(t, got)
	assert.Equal(t, "60", got.header.Get("Retry-After"))
	assert.ErrorIs(t, w.decisions[0].Err, oauthz.ErrUnavailable)
	assert.ErrorIs(t, w.decisions[0].Err, errDown)
}
