package redislog_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/redislog"
)

// A position whose entry the server lost is never read as one at the end, and never skips what was appended afterwards.
func TestLost(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client(t)
	for _, tt := range []struct {
		name   string
		before func(t *testing.T) // the state of the server before anything
		lose   func(t *testing.T, dump string)
		want   []string // what a reader that begins again reads
	}{
		{name: "FLUSHALL", lose: func(t *testing.T, _ string) {
			require.NoError(t, client.FlushAll(t.Context()).Err())
		}, want: []string{"after"}},
		{name: "DEL", lose: func(t *testing.T, _ string) {
			require.NoError(t, client.Del(t.Context(), stream).Err())
		}, want: []string{"after"}},
		{name: "DEL of what is kept apart", before: func(t *testing.T) {
			require.NoError(t, s.open(t, redislog.Config{}).Append(t.Context(), revocation("for ever", 0)))
		}, lose: func(t *testing.T, _ string) {
			require.NoError(t, client.Del(t.Context(), apart).Err())
		}, want: []string{"before", "lost", "after"}},
		{name: "XTRIM", lose: func(t *testing.T, _ string) {
			require.NoError(t, client.XTrimMaxLen(t.Context(), stream, 0).Err())
		}, want: []string{"after"}},
		{name: "an older dump, or a replica that was behind", lose: func(t *testing.T, dump string) {
			require.NoError(t, client.RestoreReplace(t.Context(), stream, 0, dump).Err())
		}, want: []string{"before", "after"}},
		{
			// So that an id is not the clock's: the same may then be given again.
			name: "a replica that was behind, with a clock that is behind",
			before: func(t *testing.T) {
				require.NoError(t, client.Do(t.Context(), "XADD", stream, "9999999999999-0", "any", "").Err())
				require.NoError(t, client.XDel(t.Context(), stream, "9999999999999-0").Err())
			},
			lose: func(t *testing.T, dump string) {
				require.NoError(t, client.RestoreReplace(t.Context(), stream, 0, dump).Err())
			}, want: []string{"before", "after"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, client.FlushAll(t.Context()).Err())
			if tt.before != nil {
				tt.before(t)
			}
			log := s.open(t, redislog.Config{})
			require.NoError(t, log.Append(t.Context(), revocation("before", time.Hour)))
			dump := client.Dump(t.Context(), stream).Val()
			require.NoError(t, log.Append(t.Context(), revocation("lost", time.Hour)))
			_, position := readAll(t, log, "")
			tt.lose(t, dump)
			_, _, err := log.Read(t.Context(), position, 0)
			require.ErrorIs(t, err, revlog.ErrTruncated, "at once")
			require.NoError(t, log.Append(t.Context(), revocation("after", time.Hour)))
			_, _, err = log.Read(t.Context(), position, 0)
			require.ErrorIs(t, err, revlog.ErrTruncated, "with more behind it")
			got, _ := readAll(t, log, "")
			assert.Equal(t, tt.want, got)
		})
	}
}

// A reader that waits while everything is lost notices, though nothing is appended.
func TestLostWhileWaiting(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	log := s.open(t, redislog.Config{})
	require.NoError(t, log.Append(t.Context(), revocation("a", 0)))
	_, position := readAll(t, log, "")
	result := make(chan error, 1)
	go func() {
		_, _, err := log.Read(t.Context(), position, time.Hour)
		result <- err
	}()
	awaitBlocked(t, s)
	require.NoError(t, s.client(t).FlushAll(t.Context()).Err())
	select {
	case err := <-result:
		assert.ErrorIs(t, err, revlog.ErrTruncated)
	case <-time.After(patience):
		t.Fatal("the reader goes on waiting")
	}
}

// Ids go up also if the clock went back, and no entry is left out.
func TestClockWentBack(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client, log := s.client(t), s.open(t, redislog.Config{})
	for key, id := range map[string]string{stream: "9999999999998-0", apart: "9999999999999-18446744073709551614"} {
		require.NoError(t, client.XAdd(t.Context(), &redis.XAddArgs{Stream: key, ID: id, Values: []any{"any", ""}}).Err())
		require.NoError(t, client.XDel(t.Context(), key, id).Err())
	}
	want, position := []string{}, ""
	for _, jti := range []string{"a", "b", "c", "d"} {
		life := time.Duration(0) // kept apart
		if len(want)%2 == 0 {
			life = time.Hour
		}
		require.NoError(t, log.Append(t.Context(), revocation(jti, life)))
		want = append(want, jti)
		var got []string
		got, position = readAll(t, log, position)
		require.Equal(t, []string{jti}, got)
	}
	got, _ := readAll(t, log, "")
	assert.Equal(t, want, got)
}

// Both streams are one order, also when a batch ends between them.
func TestOneOrder(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	log := s.open(t, redislog.Config{Batch: 3})
	var want []string
	for i := range 40 {
		life := time.Hour
		if i%5 < 2 || i > 30 {
			life = 0
		}
		jti := string(rune('A' + i))
		require.NoError(t, log.Append(t.Context(), revocation(jti, life), revocation(jti+"'", time.Hour)))
		want = append(want, jti, jti+"'")
	}
	got, _ := readAll(t, log, "")
	assert.Equal(t, want, got)
	revs, _, err := log.Read(t.Context(), "", 0)
	require.NoError(t, err)
	assert.Len(t, revs, 3)
}
