package redislog_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/redislog"
)

const (
	issuer    = "https://login.example.com"
	stream    = "oauthz:revocations"
	secondKey = "{oauthz:revocations}:apart"
	retention = 30 * 24 * time.Hour
)

// revocation returns the revocation of the token with a jti. If life is 0, it never expires.
func revocation(jti string, life time.Duration) oauthz.Revocation {
	rev := oauthz.Revocation{Match: map[string]any{"iss": issuer, "jti": jti}}
	if life != 0 {
		rev.Expires = time.Now().Add(life)
	}
	return rev
}

func jtis(revs []oauthz.Revocation) []string {
	out := []string{}
	for _, rev := range revs {
		out = append(out, fmt.Sprint(rev.Match["jti"]))
	}
	return out
}

// readAll reads all entries after a position.
func readAll(t testing.TB, log revlog.Log, after string) (got []string, next string) {
	t.Helper()
	for got = []string{}; ; {
		revs, next, err := log.Read(t.Context(), after, 0)
		require.NoError(t, err)
		if len(revs) == 0 {
			return got, next
		}
		got, after = append(got, jtis(revs)...), next
	}
}

// writeEntry adds an entry to a stream as an Append did that long ago.
func writeEntry(t testing.TB, client *redis.Client, key string, ago time.Duration, rev oauthz.Revocation) {
	t.Helper()
	doc, err := rev.MarshalJSON()
	require.NoError(t, err)
	expires := ""
	if !rev.Expires.IsZero() {
		expires = strconv.FormatInt(rev.Expires.Add(oauthz.MaxLeeway).UnixMilli()+1, 10)
	}
	require.NoError(t, client.XAdd(t.Context(), &redis.XAddArgs{
		Stream: key, ID: fmt.Sprintf("%d-*", time.Now().Add(-ago).UnixMilli()), Values: []any{"over", expires, "rev", doc},
	}).Err())
}

func TestLateExpiryGoesToTheSecondStream(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client(t)
	for _, tt := range []struct {
		name      string
		cfg       redislog.Config
		key, next string
		rev       oauthz.Revocation
		second    bool // whether the entry goes to the second stream
	}{
		{name: "expires soon", key: stream, next: secondKey, rev: revocation("a", time.Hour)},
		{name: "just within", key: stream, next: secondKey, rev: revocation("b", retention-oauthz.MaxLeeway-time.Minute)},
		{name: "expires later, with the leeway", key: stream, next: secondKey, rev: revocation("c", retention-oauthz.MaxLeeway+time.Minute), second: true},
		{name: "never expires", key: stream, next: secondKey, rev: revocation("d", 0), second: true},
		{
			name: "another retention", cfg: redislog.Config{Retention: time.Hour}, key: stream, next: secondKey,
			rev: revocation("e", 2*time.Hour), second: true,
		},
		{name: "another key", cfg: redislog.Config{Key: "mine"}, key: "mine", next: "{mine}:apart", rev: revocation("f", 0), second: true},
		{name: "a hash tag", cfg: redislog.Config{Key: "a{b}c"}, key: "a{b}c", next: "a{b}c:apart", rev: revocation("g", 0), second: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, client.FlushAll(t.Context()).Err())
			log := s.open(t, tt.cfg)
			require.NoError(t, log.Append(t.Context(), tt.rev))
			want := map[string]int64{tt.key: 1, tt.next: 0}
			if tt.second {
				want = map[string]int64{tt.key: 0, tt.next: 1}
			}
			for key, n := range want {
				assert.Equal(t, n, client.XLen(t.Context(), key).Val(), key)
			}
			got, _ := readAll(t, log, "")
			assert.Equal(t, jtis([]oauthz.Revocation{tt.rev}), got)
		})
	}
}

// Expired entries are deleted as others are appended. An entry that can still match never is,
// however it came into the stream.
func TestOnlyExpiredEntriesAreTrimmed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client(t)
	const old = 60 * 24 * time.Hour
	for _, tt := range []struct {
		name string
		rows map[string][]oauthz.Revocation // entries that were written long ago
		want []string
	}{
		{name: "expired", rows: map[string][]oauthz.Revocation{stream: {revocation("a", -time.Hour), revocation("b", -time.Hour)}, secondKey: {revocation("c", -time.Hour), revocation("last", -time.Hour)}}, want: []string{"last", "tip", "new"}},
		{name: "expired, but within the leeway", rows: map[string][]oauthz.Revocation{stream: {revocation("a", -oauthz.MaxLeeway/2)}}, want: []string{"a", "tip", "new"}},
		{
			name: "not expired, though older than the retention", // by an instance whose retention is longer
			rows: map[string][]oauthz.Revocation{stream: {revocation("a", -time.Hour), revocation("b", time.Hour), revocation("c", -time.Hour)}},
			want: []string{"b", "c", "tip", "new"},
		},
		{name: "never expires", rows: map[string][]oauthz.Revocation{stream: {revocation("a", 0)}, secondKey: {revocation("b", 0)}}, want: []string{"a", "b", "tip", "new"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, client.FlushAll(t.Context()).Err())
			for key, revs := range tt.rows {
				for i, rev := range revs {
					writeEntry(t, client, key, old-time.Duration(i)*time.Hour, rev)
				}
			}
			writeEntry(t, client, stream, time.Hour, revocation("tip", -time.Hour))
			log := s.open(t, redislog.Config{})
			require.NoError(t, log.Append(t.Context(), revocation("new", time.Hour)))
			got, _ := readAll(t, log, "")
			assert.ElementsMatch(t, tt.want, got)
		})
	}
}

// Each Append deletes more entries than it adds.
func TestTrimKeepsUp(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client, log := s.client(t), s.open(t, redislog.Config{})
	for i := range 500 {
		writeEntry(t, client, stream, 1000*time.Hour-time.Duration(i)*time.Minute, revocation(strconv.Itoa(i), -time.Hour))
	}
	for i := range 50 {
		require.NoError(t, log.Append(t.Context(), revocation(strconv.Itoa(1000+i), time.Hour)))
	}
	got, _ := readAll(t, log, "")
	assert.Len(t, got, 50)
}

// An expiry that was computed from a zero time does not keep other entries from being deleted.
func TestExpiryBefore1970IsTrimmed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	log := s.open(t, redislog.Config{})
	first := revocation("first", 0)
	first.Expires = time.Time{}.Add(time.Hour)
	require.NoError(t, log.Append(t.Context(), first))
	for i := range 30 {
		require.NoError(t, log.Append(t.Context(), revocation(strconv.Itoa(i), -time.Hour)))
	}
	got, _ := readAll(t, log, "")
	assert.NotContains(t, got, "first")
	assert.Less(t, len(got), 5)
}

// A reader that has read everything need not read it again because others append, even if the
// entries at its position have expired: the newest entry of each stream stays until there is
// another one, and while that one is appended.
func TestTheNewestEntryOfAStreamStays(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client(t)
	for key, life := range map[string]time.Duration{stream: time.Hour, secondKey: 0} {
		t.Run(key, func(t *testing.T) {
			require.NoError(t, client.FlushAll(t.Context()).Err())
			log := s.open(t, redislog.Config{})
			writeEntry(t, client, key, 3*time.Hour, revocation("a", -2*time.Hour))
			writeEntry(t, client, key, 2*time.Hour, revocation("b", -time.Hour))
			_, tip := readAll(t, log, "")
			require.NoError(t, log.Append(t.Context(), revocation("c", life)))
			got, _ := readAll(t, log, tip)
			assert.Equal(t, []string{"c"}, got)
			require.NoError(t, log.Append(t.Context(), revocation("d", life)))
			_, _, err := log.Read(t.Context(), tip, 0)
			assert.ErrorIs(t, err, revlog.ErrTruncated, "the entry is deleted now")
		})
	}
}

// Of the clocks of Redis and of the instance that appends, the one that is behind decides what
// has expired: a wrong clock deletes nothing.
func TestTheClockThatIsBehindDecides(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client(t)
	for _, tt := range []struct {
		name   string
		ahead  time.Duration // how far the clock of the instance is ahead of Redis
		second int64         // how many of two entries go to the second stream
	}{
		{name: "Redis is ahead", ahead: -2 * retention, second: 2},
		{name: "Redis is behind", ahead: 2 * retention, second: 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, client.FlushAll(t.Context()).Err())
			life := time.Hour + min(tt.ahead, 0) // expired by the clock that is ahead
			writeEntry(t, client, stream, 100*time.Hour, revocation("a", life))
			writeEntry(t, client, stream, 99*time.Hour, revocation("b", life))
			log := s.open(t, redislog.Config{Now: func() time.Time { return time.Now().Add(tt.ahead) }})
			for _, jti := range []string{"c", "d"} {
				require.NoError(t, log.Append(t.Context(), revocation(jti, time.Hour)))
			}
			got, _ := readAll(t, log, "")
			assert.Equal(t, []string{"a", "b", "c", "d"}, got)
			assert.Equal(t, tt.second, client.XLen(t.Context(), secondKey).Val())
		})
	}
}
