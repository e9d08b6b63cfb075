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

// When Revoke returns nil, the entry is in the log and applies in this list, before anything
// was read.
func TestRevokeAppliesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		log.setRead(hang)
		list := open(t, log, revlog.Config{})
		require.NoError(t, list.Revoke(t.Context(), jti("1"), jti("2")))
		wantRevoked(t, list, true, "1", "2")
		revs, _, err := log.Memory.Read(t.Context(), "", 0)
		require.NoError(t, err)
		assert.Len(t, revs, 2)
		assert.Equal(t, 1, log.countAppends())
	})
}

// A revocation that the log did not accept does not apply in the list either: instances would
// differ, and after a restart the token would be accepted.
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
			name: "an entry that no list accepts", revs: []oauthz.Revocation{jti("1"), garbage, jti("2")},
			want: "revlog: revoke: entry 1: oauthz: revocation: match has no iss",
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
				log := &scriptedLog{write: tt.write}
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

// After an error the log may nevertheless have the entry. It then applies in this list when it
// is read.
func TestAnEntryAppendedDespiteAnErrorApplies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
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

func TestRevokeWithACancelledContextFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		list := openReady(t, log, revlog.Config{})
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		assert.ErrorIs(t, list.Revoke(cancelled, jti("1")), context.Canceled)
		wantRevoked(t, list, false, "1")
	})
}

// At is the time of the revocation, for administrators who read the lists of all instances.
func TestAtIsSetToTheTimeOfRevoke(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		given := time.Date(2020, 1, 2, 3, 4, 5, 6, time.UTC)
		log := &revlog.Memory{}
		list := openReady(t, log, revlog.Config{})
		advance(time.Hour)
		now := time.Now()
		revs := []oauthz.Revocation{jti("now"), jti("then")}
		revs[1].At = given
		require.NoError(t, list.Revoke(t.Context(), revs...))
		assert.Zero(t, revs[0].At, "the revocation of the caller is not changed")
		advance(time.Second)
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

func TestRevokeOfNothingAppendsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &scriptedLog{}
		list := openReady(t, log, revlog.Config{})
		require.NoError(t, list.Revoke(t.Context()))
		assert.Zero(t, log.countAppends())
	})
}

// Two instances have a cache and a list each, on one log. A token that one instance revokes is
// refused by the other at once, although its cache has the token.
func TestARevocationRefusesACachedTokenOnEveryInstance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &revlog.Memory{}
		var lists []*revlog.List
		var guards []*oauthz.Guard
		asked := 0
		for range 2 {
			cached, err := cache.New(oauthz.IntrospectorFunc(func(ctx context.Context, token string) (*oauthz.Token, error) {
				asked++
				return introspectID(ctx, token)
			}), cache.Config{TTL: time.Hour})
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, cached.Close()) })
			list := openReady(t, log, revlog.Config{})
			lists, guards = append(lists, list), append(guards, newGuard(t, cached, list))
		}
		for range 3 {
			for _, guard := range guards {
				assert.Equal(t, allowed, request(t, guard, "session"))
				assert.Equal(t, allowed, request(t, guard, "another"))
			}
		}
		require.Equal(t, 4, asked, "each instance has cached both tokens")
		start := time.Now()
		require.NoError(t, lists[0].Revoke(t.Context(), jti("session")))
		assert.Equal(t, refused, request(t, guards[0], "session"))
		synctest.Wait()
		assert.Equal(t, refused, request(t, guards[1], "session"))
		assert.Zero(t, time.Since(start))
		for _, guard := range guards {
			assert.Equal(t, allowed, request(t, guard, "another"))
		}
		assert.Equal(t, 4, asked, "the introspector is not called again")
	})
}
