package revlog_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/cache"
	"github.com/oauthz/oauthz/revlog"
)

// When Revoke returns nil it is in the log and applies here, before anything was read.
func TestRevokeAppliesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		log.reading(hang)
		list := open(t, log, revlog.Config{})
		require.NoError(t, list.Revoke(t.Context(), jti("1"), jti("2")))
		wantRevoked(t, list, true, "1", "2")
		revs, _, err := log.Memory.Read(t.Context(), "", 0)
		require.NoError(t, err)
		assert.Len(t, revs, 2)
		assert.Equal(t, 1, log.countAppends())
	})
}

// What the log did not take is not refused here either: instances would differ, and after a restart it would be accepted.
func TestRevokeAllOrNone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		revs    []oauthz.Revocation
		write   appendFunc
		want    string
		after   time.Duration
		appends int
	}{
		{
			name: "an entry that no list takes", revs: []oauthz.Revocation{jti("1"), garbage, jti("2")},
			want: "revlog: entry 1: oauthz: revocation: match has no iss",
		},
		{
			name: "the log is down", revs: []oauthz.Revocation{jti("1")},
			write: func(context.Context, ...oauthz.Revocation) error { return errDown },
			want:  "revlog: append: the log is down", appends: 1,
		},
		{
			name: "the log hangs", revs: []oauthz.Revocation{jti("1")},
			write: func(ctx context.Context, _ ...oauthz.Revocation) error { <-ctx.Done(); return ctx.Err() },
			want:  "revlog: append: context deadline exceeded", after: 3 * time.Second, appends: 1,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				log := &script{write: tt.write}
				list := openReady(t, log, revlog.Config{Timeout: 3 * time.Second})
				start := time.Now()
				assert.EqualError(t, list.Revoke(t.Context(), tt.revs...), tt.want)
				assert.Equal(t, tt.after, time.Since(start))
				synctest.Wait()
				wantRevoked(t, list, false, "1", "2")
				assert.Equal(t, tt.appends, log.countAppends())
			})
		})
	}
}

// After an error the log may have it all the same: then it applies here too, when it is read.
func TestRevokedInSpiteOfAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		log.write = func(ctx context.Context, revs ...oauthz.Revocation) error {
			require.NoError(t, log.Memory.Append(ctx, revs...))
			return errDown
		}
		list := openReady(t, log, revlog.Config{})
		require.ErrorIs(t, list.Revoke(t.Context(), jti("1")), errDown)
		synctest.Wait()
		wantRevoked(t, list, true, "1")
	})
}

func TestRevokeUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		list := openReady(t, log, revlog.Config{})
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		assert.ErrorIs(t, list.Revoke(cancelled, jti("1")), context.Canceled)
		wantRevoked(t, list, false, "1")
	})
}

// At is when it was revoked, for the people who read the list: of all instances.
func TestAt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		given := time.Date(2020, 1, 2, 3, 4, 5, 6, time.UTC)
		log := &revlog.Memory{}
		list := openReady(t, log, revlog.Config{})
		pass(time.Hour)
		now := time.Now()
		revs := []oauthz.Revocation{jti("now"), jti("then")}
		revs[1].At = given
		require.NoError(t, list.Revoke(t.Context(), revs...))
		assert.Zero(t, revs[0].At, "the caller's is the caller's")
		pass(time.Second)
		written, _, err := log.Read(t.Context(), "", 0)
		require.NoError(t, err)
		require.Len(t, written, 2)
		assert.Equal(t, now.UTC().Round(0), written[0].At)
		assert.Equal(t, given, written[1].At)
		all, err := list.All(oauthz.Query{})
		require.NoError(t, err)
		at := map[any]time.Time{}
		for rev := range all {
			at[rev.Match["jti"]] = rev.At
		}
		require.Len(t, at, 2)
		assert.True(t, now.Equal(at["now"]))
		assert.True(t, given.Equal(at["then"]))
	})
}

func TestRevokeNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &script{}
		list := openReady(t, log, revlog.Config{})
		require.NoError(t, list.Revoke(t.Context()))
		assert.Zero(t, log.countAppends())
	})
}

// RV-15, CA-10, CA-16: two instances, each with a cache and a list on one log. What one revokes the other refuses at once,
// though it remembers the token.
func TestRememberedTokenIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &revlog.Memory{}
		var lists []*revlog.List
		var guards []*oauthz.Guard
		asked := 0
		for range 2 {
			remembers, err := cache.New(oauthz.IntrospectorFunc(func(ctx context.Context, token string) (*oauthz.Token, error) {
				asked++
				return bearers(ctx, token)
			}), cache.Config{TTL: time.Hour})
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, remembers.Close()) })
			list := openReady(t, log, revlog.Config{})
			lists, guards = append(lists, list), append(guards, newGuard(t, remembers, list))
		}
		for range 3 {
			for _, guard := range guards {
				assert.Equal(t, allowed, ask(t, guard, "session"))
				assert.Equal(t, allowed, ask(t, guard, "another"))
			}
		}
		require.Equal(t, 4, asked, "each instance remembers both")
		start := time.Now()
		require.NoError(t, lists[0].Revoke(t.Context(), jti("session")))
		assert.Equal(t, refused, ask(t, guards[0], "session"))
		synctest.Wait()
		assert.Equal(t, refused, ask(t, guards[1], "session"))
		assert.Zero(t, time.Since(start))
		for _, guard := range guards {
			assert.Equal(t, allowed, ask(t, guard, "another"))
		}
		assert.Equal(t, 4, asked, "nobody was asked again")
	})
}
