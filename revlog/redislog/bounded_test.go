package redislog_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/redislog"
)

// A Read that is cancelled while the server blocks it returns soon, and leaves no command
// behind.
func TestACancelledReadLeavesNoCommand(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client(t)
	log, err := redislog.New(client, redislog.Config{})
	require.NoError(t, err)
	for name, context := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"cancel": context.WithCancel,
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 100*time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context(t.Context())
			defer cancel()
			result := make(chan error, 1)
			go func() {
				_, _, err := log.Read(ctx, "", time.Hour)
				result <- err
			}()
			awaitBlocked(t, s)
			if name == "cancel" {
				cancel()
			}
			<-ctx.Done()
			ended := time.Now()
			select {
			case err := <-result:
				require.ErrorIs(t, err, ctx.Err())
			case <-time.After(patience):
				t.Fatal("the Read does not return")
			}
			assert.Less(t, time.Since(ended), 2*time.Second)
			stats := client.PoolStats()
			assert.Equal(t, stats.TotalConns, stats.IdleConns, "a connection is still in use")
		})
	}
}

// A server that hangs is an error: after the context is done, within the ReadTimeout of the
// client.
func TestAServerThatHangsIsAnError(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := redis.NewClient(&redis.Options{Addr: s.addr, ReadTimeout: 400 * time.Millisecond, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	log, err := redislog.New(client, redislog.Config{})
	require.NoError(t, err)
	require.NoError(t, log.Append(t.Context(), revocation("a", time.Hour)))
	revs, position, err := log.Read(t.Context(), "", 0)
	require.NoError(t, err)
	require.Len(t, revs, 1)
	s.signal(t, syscall.SIGSTOP)
	for name, call := range map[string]func(context.Context) error{
		"append": func(ctx context.Context) error { return log.Append(ctx, revocation("b", time.Hour)) },
		"read":   func(ctx context.Context) error { _, _, err := log.Read(ctx, position, time.Hour); return err },
	} {
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := call(ctx)
		cancel()
		require.Error(t, err, name)
		if name == "read" {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		assert.Less(t, time.Since(began), 5*time.Second, name)
	}
	s.signal(t, syscall.SIGCONT)
	_, _, err = log.Read(t.Context(), position, 0)
	assert.NoError(t, err)
}

// A server that hangs does not block Revoke beyond its timeout, although go-redis waits for
// longer. The list continues to answer, and a later Revoke is written.
func TestRevokeReturnsWithinItsTimeout(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	list, err := revlog.Open(t.Context(), s.open(t, redislog.Config{}), revlog.Config{Timeout: time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { _ = list.Close() })
	require.NoError(t, list.Ready(t.Context()))
	s.signal(t, syscall.SIGSTOP)
	for _, bound := range []time.Duration{300 * time.Millisecond, time.Minute} {
		ctx, cancel := context.WithTimeout(t.Context(), bound)
		began := time.Now()
		require.ErrorIs(t, list.Revoke(ctx, revocation("a", time.Hour)), context.DeadlineExceeded)
		assert.Less(t, time.Since(began), 3*time.Second, "go-redis makes three attempts of 5 s")
		cancel()
	}
	began := time.Now()
	require.NoError(t, list.Close())
	assert.Less(t, time.Since(began), 3*time.Second)
	s.signal(t, syscall.SIGCONT)
	log := s.open(t, redislog.Config{})
	require.NoError(t, log.Append(t.Context(), revocation("b", time.Hour)))
	got, _ := readAll(t, log, "")
	assert.Contains(t, got, "b")
}

// contextIgnorer is a client that ignores contexts.
type contextIgnorer struct{ redis.UniversalClient }

func (c contextIgnorer) Process(ctx context.Context, cmd redis.Cmder) error {
	return c.UniversalClient.Process(context.WithoutCancel(ctx), cmd)
}

func (c contextIgnorer) Pipelined(ctx context.Context, queue func(redis.Pipeliner) error) ([]redis.Cmder, error) {
	return c.UniversalClient.Pipelined(context.WithoutCancel(ctx), queue)
}

func (c contextIgnorer) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	return c.UniversalClient.EvalSha(context.WithoutCancel(ctx), sha, keys, args...)
}

func TestAClientThatIgnoresContextsBlocksNoRead(t *testing.T) {
	t.Parallel()
	log, err := redislog.New(contextIgnorer{startServer(t).client(t)}, redislog.Config{})
	require.NoError(t, err)
	require.NoError(t, log.Append(t.Context(), revocation("a", time.Hour))) // loads the script
	_, position := readAll(t, log, "")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, _, err = log.Read(ctx, position, patience)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.Less(t, time.Since(began), patience/2)
}

// panickingHook is a hook of a client that panics.
type panickingHook struct{}

func (panickingHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (panickingHook) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(context.Context, redis.Cmder) error { panic("canary") }
}

func (panickingHook) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { panic("canary") }
}

// A hook of the client runs in a goroutine of the log. A panic of it is an error.
func TestAPanicOfAHookIsAnError(t *testing.T) {
	t.Parallel()
	client := startServer(t).client(t)
	client.AddHook(panickingHook{})
	log, err := redislog.New(client, redislog.Config{})
	require.NoError(t, err)
	_, _, err = log.Read(t.Context(), "", 0)
	require.EqualError(t, err, "redislog: read: panic of type string")
	require.EqualError(t, log.Append(t.Context(), revocation("a", time.Hour)), "redislog: append: panic of type string")
	require.EqualError(t, log.CheckServer(t.Context()), "redislog: check server: appendonly: panic of type string")
}
