package redislog_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/redislog"
)

// An entry that cannot be read is an error that names its id, without any of its content, and is never
// skipped.
func TestAnInvalidEntryIsNotSkipped(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	const good = `{"match":{"iss":"https://login.example.com","jti":"x"}}`
	for _, tt := range []struct {
		name   string
		fields []any
	}{
		{name: "another program's", fields: []any{"temperature", "classified"}},
		{name: "not JSON", fields: []any{"over", "", "rev", "classified"}},
		{name: "a revocation that no list accepts", fields: []any{"over", "", "rev", `{"match":{"sub":"classified"}}`}},
		{name: "cut", fields: []any{"over", "", "rev", good[:len(good)-1]}},
		{name: "a member that is not known", fields: []any{"over", "", "rev", good[:len(good)-1] + `,"classified":1}`}},
		{name: "empty", fields: []any{"over", "", "rev", ""}},
		{name: "one field", fields: []any{"rev", good}},
		{name: "a third field", fields: []any{"over", "", "rev", good, "classified", "1"}},
		{name: "another order", fields: []any{"rev", good, "over", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) { wantInvalidEntry(t, s, tt.fields) })
	}
}

// wantInvalidEntry adds an entry with other fields between two valid ones, and checks the error.
func wantInvalidEntry(t *testing.T, s *server, fields []any) {
	t.Helper()
	client := s.client(t)
	require.NoError(t, client.FlushAll(t.Context()).Err())
	log := s.open(t, redislog.Config{})
	require.NoError(t, log.Append(t.Context(), revocation("a", time.Hour)))
	id, err := client.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, Values: fields}).Result()
	require.NoError(t, err)
	require.NoError(t, log.Append(t.Context(), revocation("b", time.Hour)))
	revs, position, err := log.Read(t.Context(), "", 0)
	require.EqualError(t, err, "redislog: read: entry "+id+" is not a revocation")
	assert.Equal(t, []string{"a"}, jtis(revs), "the entry before it")
	for range 2 {
		revs, _, err = log.Read(t.Context(), position, 0)
		require.Empty(t, revs)
		require.EqualError(t, err, "redislog: read: entry "+id+" is not a revocation")
		require.NotErrorIs(t, err, revlog.ErrTruncated)
	}
	require.NoError(t, client.XDel(t.Context(), stream, id).Err())
	got, _ := readAll(t, log, position)
	assert.Equal(t, []string{"b"}, got)
}

// All or none: the script finds a key that is not a stream before it writes anything.
func TestAKeyOfAnotherTypeIsNotWritten(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client(t)
	for _, key := range []string{stream, secondKey} {
		t.Run(key, func(t *testing.T) {
			require.NoError(t, client.FlushAll(t.Context()).Err())
			require.NoError(t, client.Set(t.Context(), key, "a string", 0).Err())
			log := s.open(t, redislog.Config{})
			err := log.Append(t.Context(), revocation("a", time.Hour), revocation("b", 0))
			require.ErrorContains(t, err, "redislog: append: ")
			_, _, err = log.Read(t.Context(), "", 0)
			require.ErrorContains(t, err, "redislog: read: ")
			assert.Equal(t, []string{key}, client.Keys(t.Context(), "*").Val())
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client, log := s.client(t), s.open(t, redislog.Config{})
	late := revocation("late", time.Hour)
	late.Expires = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	many := make([]oauthz.Revocation, 10_001)
	for i := range many {
		many[i] = revocation("a", time.Hour)
	}
	for name, revs := range map[string][]oauthz.Revocation{
		"no issuer":           {revocation("a", time.Hour), {Match: map[string]any{"jti": "b"}}},
		"no match":            {revocation("a", time.Hour), {}},
		"a time without JSON": {revocation("a", time.Hour), late},
		"too many":            many,
	} {
		require.ErrorContains(t, log.Append(t.Context(), revs...), "redislog: append: ", name)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, log.Append(cancelled), context.Canceled, "no entries, and a context that has ended")
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "1").Err())
	require.ErrorContains(t, log.Append(t.Context(), revocation("a", time.Hour)), "redislog: append: ", "no memory")
	assert.Empty(t, client.Keys(t.Context(), "*").Val())
}

// An Append of the largest number of entries.
func TestTheLargestAppend(t *testing.T) {
	t.Parallel()
	log := startServer(t).open(t, redislog.Config{})
	revs := make([]oauthz.Revocation, 10_000)
	for i := range revs {
		revs[i] = revocation(strconv.Itoa(i), time.Hour)
	}
	require.NoError(t, log.Append(t.Context(), revs...))
	got, _ := readAll(t, log, "")
	assert.Equal(t, jtis(revs), got)
}

// A Read without a wait, and one with a wait shorter than the unit of Redis, do not block
// without a limit.
func TestShortWaitsEnd(t *testing.T) {
	t.Parallel()
	log := startServer(t).open(t, redislog.Config{})
	for _, wait := range []time.Duration{-time.Hour, 0, 1, 999 * time.Microsecond, 300 * time.Millisecond} {
		began := time.Now()
		revs, next, err := log.Read(t.Context(), "", wait)
		require.NoError(t, err)
		assert.Empty(t, revs)
		assert.Equal(t, "0-0,0-0", next)
		assert.GreaterOrEqual(t, time.Since(began), wait)
		assert.Less(t, time.Since(began), patience)
	}
}

// A replica may be behind, so it cannot confirm that there are no more entries. Nor can a
// server that was the master.
func TestReplicaIsNotRead(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	log := s.open(t, redislog.Config{})
	require.NoError(t, log.Append(t.Context(), revocation("a", time.Hour)))
	_, position := readAll(t, log, "")
	require.NoError(t, s.client(t).Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err())
	_, _, err := log.Read(t.Context(), position, 0)
	require.ErrorContains(t, err, "replica")
	require.Error(t, log.Append(t.Context(), revocation("b", time.Hour)))
}

func TestReplicasMustHaveAnEntry(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	log := s.open(t, redislog.Config{Replicas: 1})
	require.ErrorContains(t, log.Append(t.Context(), revocation("a", time.Hour)), "redislog: append: too few replicas have the entries")
	host, port, _ := strings.Cut(s.addr, ":")
	startServer(t, "--replicaof", host+" "+port)
	await(t, func() bool { return log.Append(t.Context(), revocation("b", time.Hour)) == nil })
	got, _ := readAll(t, log, "")
	assert.Subset(t, []string{"a", "b"}, got)
	two := s.open(t, redislog.Config{Replicas: 2})
	require.Error(t, two.Append(t.Context(), revocation("c", time.Hour)))
	require.Error(t, log.Append(t.Context(), oauthz.Revocation{}))
	require.NoError(t, s.client(t).ConfigSet(t.Context(), "maxmemory", "1").Err())
	require.Error(t, log.Append(t.Context(), revocation("d", time.Hour)), "an error of the script is an error of Append")
}

func TestCheckServerFindsUnsafeSettings(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client, log := s.client(t), s.open(t, redislog.Config{})
	require.NoError(t, log.CheckServer(t.Context()))
	for _, tt := range []struct{ name, value, want string }{
		{"maxmemory-policy", "volatile-lru", ""},
		{"maxmemory-policy", "allkeys-lru", "maxmemory-policy"},
		{"maxmemory-policy", "noeviction", ""},
		{"appendfsync", "everysec", "appendfsync"},
		{"appendfsync", "always", ""},
		{"appendonly", "no", "appendonly"},
	} {
		require.NoError(t, client.ConfigSet(t.Context(), tt.name, tt.value).Err())
		err := log.CheckServer(t.Context())
		if tt.want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, "redislog: check server: "+tt.want)
		}
	}
	require.NoError(t, client.Do(t.Context(), "ACL", "SETUSER", "default", "-config").Err())
	require.ErrorContains(t, log.CheckServer(t.Context()), "redislog: check server: appendonly: NOPERM")
}

// No error holds the password.
func TestErrorsHoldNoPassword(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	require.NoError(t, s.client(t).ConfigSet(t.Context(), "requirepass", "right-secret").Err())
	client := redis.NewClient(&redis.Options{Addr: s.addr, Password: "wrong-secret"})
	t.Cleanup(func() { _ = client.Close() })
	log, err := redislog.New(client, redislog.Config{})
	require.NoError(t, err)
	_, _, readErr := log.Read(t.Context(), "", 0)
	for _, err := range []error{readErr, log.Append(t.Context(), revocation("a", time.Hour)), log.CheckServer(t.Context())} {
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "secret")
	}
}

// The rights that the package documentation lists are enough.
func TestTheDocumentedRightsAreEnough(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	require.NoError(t, s.client(t).Do(t.Context(), "ACL", "SETUSER", "app", "on", ">pass", "~oauthz:*", "~{oauthz:*", "-@all",
		"+eval", "+evalsha", "+xread", "+xadd", "+xrange", "+xtrim", "+xinfo", "+exists", "+time", "+info").Err())
	client := redis.NewClient(&redis.Options{Addr: s.addr, Username: "app", Password: "pass"})
	t.Cleanup(func() { _ = client.Close() })
	log, err := redislog.New(client, redislog.Config{})
	require.NoError(t, err)
	require.NoError(t, log.Append(t.Context(), revocation("a", time.Hour), revocation("b", 0)))
	got, position := readAll(t, log, "")
	assert.Equal(t, []string{"a", "b"}, got)
	_, _, err = log.Read(t.Context(), position, 10*time.Millisecond)
	require.NoError(t, err)
	require.NoError(t, s.client(t).Do(t.Context(), "ACL", "SETUSER", "app", "-xread").Err())
	_, _, err = log.Read(t.Context(), position, time.Hour)
	assert.ErrorContains(t, err, "redislog: read: NOPERM")
}

// A server that is down is an error, and is never read as an empty log.
func TestAServerThatIsDownIsAnError(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	log := s.open(t, redislog.Config{})
	require.NoError(t, log.Append(t.Context(), revocation("a", time.Hour)))
	s.kill(t)
	_, _, err := log.Read(t.Context(), "", 0)
	require.ErrorContains(t, err, "redislog: read: ")
	require.False(t, errors.Is(err, revlog.ErrTruncated))
	require.ErrorContains(t, log.Append(t.Context(), revocation("b", time.Hour)), "redislog: append: ")
	s.start(t)
	got, _ := readAll(t, log, "")
	assert.Contains(t, got, "a")
}
