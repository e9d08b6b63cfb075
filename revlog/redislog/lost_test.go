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

// loss is one way in which a server loses entries.
type loss struct {
	name   string
	before func(t *testing.T, s *server) // prepares the server; may be nil
	lose   func(t *testing.T, client *redis.Client, dump string)
	want   []string // the entries that a reader reads that begins again
}

// restore replaces the stream by an older copy.
func restore(t *testing.T, client *redis.Client, dump string) {
	require.NoError(t, client.RestoreReplace(t.Context(), stream, 0, dump).Err())
}

var losses = []loss{
	{name: "FLUSHALL", lose: func(t *testing.T, client *redis.Client, _ string) {
		require.NoError(t, client.FlushAll(t.Context()).Err())
	}, want: []string{"after"}},
	{name: "DEL", lose: func(t *testing.T, client *redis.Client, _ string) {
		require.NoError(t, client.Del(t.Context(), stream).Err())
	}, want: []string{"after"}},
	{name: "DEL of the second stream", before: func(t *testing.T, s *server) {
		require.NoError(t, s.open(t, redislog.Config{}).Append(t.Context(), revocation("never expires", 0)))
	}, lose: func(t *testing.T, client *redis.Client, _ string) {
		require.NoError(t, client.Del(t.Context(), secondKey).Err())
	}, want: []string{"before", "lost", "after"}},
	{name: "XTRIM", lose: func(t *testing.T, client *redis.Client, _ string) {
		require.NoError(t, client.XTrimMaxLen(t.Context(), stream, 0).Err())
	}, want: []string{"after"}},
	{name: "an older dump, or a replica that was behind", lose: restore, want: []string{"before", "after"}},
	{
		// The id is not taken from the clock: the same id may then be given again.
		name: "a replica that was behind, with a clock that is behind",
		before: func(t *testing.T, s *server) {
			client := s.client(t)
			require.NoError(t, client.Do(t.Context(), "XADD", stream, "9999999999999-0", "any", "").Err())
			require.NoError(t, client.XDel(t.Context(), stream, "9999999999999-0").Err())
		},
		lose: restore, want: []string{"before", "after"},
	},
}

// A position whose entry the server lost is never read as the end of the log, and never skips the
// entries that were appended afterwards.
func TestAPositionOfALostEntryIsTruncated(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client(t)
	for _, tt := range losses {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, client.FlushAll(t.Context()).Err())
			if tt.before != nil {
				tt.before(t, s)
			}
			log := s.open(t, redislog.Config{})
			require.NoError(t, log.Append(t.Context(), revocation("before", time.Hour)))
			dump := client.Dump(t.Context(), stream).Val()
			require.NoError(t, log.Append(t.Context(), revocation("lost", time.Hour)))
			_, position := readAll(t, log, "")
			tt.lose(t, client, dump)
			_, _, err := log.Read(t.Context(), position, 0)
			require.ErrorIs(t, err, revlog.ErrTruncated, "at once")
			require.NoError(t, log.Append(t.Context(), revocation("after", time.Hour)))
			_, _, err = log.Read(t.Context(), position, 0)
			require.ErrorIs(t, err, revlog.ErrTruncated, "with more entries after it")
			got, _ := readAll(t, log, "")
			assert.Equal(t, tt.want, got)
		})
	}
}

// A reader that waits detects that everything is lost, although nothing is appended.
func TestALossEndsAWait(t *testing.T) {
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
		t.Fatal("the reader continues to wait")
	}
}

// Ids increase even if the clock went back, and no entry is skipped.
func TestIDsIncreaseWhenTheClockGoesBack(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client, log := s.client(t), s.open(t, redislog.Config{})
	for key, id := range map[string]string{stream: "9999999999998-0", secondKey: "9999999999999-18446744073709551614"} {
		require.NoError(t, client.XAdd(t.Context(), &redis.XAddArgs{Stream: key, ID: id, Values: []any{"any", ""}}).Err())
		require.NoError(t, client.XDel(t.Context(), key, id).Err())
	}
	want, position := []string{}, ""
	for _, jti := range []string{"a", "b", "c", "d"} {
		life := time.Duration(0) // in the second stream
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

// Both streams have one common order, also if a batch ends between them.
func TestBothStreamsAreOneOrder(t *testing.T) {
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
