package revlog_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
)

// stagedLog is a log whose Reads return one entry each, when the test releases it.
type stagedLog struct {
	revlog.Log
	entries []oauthz.Revocation
	reads   chan int // the number of the entry that a Read waits for
	release chan struct{}
}

func (s *stagedLog) Read(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
	if len(after) == len(s.entries) {
		if wait > 0 {
			<-ctx.Done()
		}
		return nil, after, ctx.Err()
	}
	s.reads <- len(after)
	select {
	case <-s.release:
		return s.entries[len(after) : len(after)+1], after + "x", nil
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
}

// Revoked must not report "not revoked" if the list becomes healthy between the search and the
// health check: the entry that makes it healthy is the one that revokes the token.
func TestRevokedChecksHealthBeforeItSearches(t *testing.T) {
	t.Parallel()
	now := time.Now()
	subject := func(until time.Time) oauthz.Revocation {
		return oauthz.Revocation{Match: map[string]any{"iss": "i", "sub": "s"}, IssuedUntil: until}
	}
	log := &stagedLog{entries: []oauthz.Revocation{subject(now.Add(-time.Hour)), subject(now)}, reads: make(chan int), release: make(chan struct{})}
	var list *revlog.List
	var armed atomic.Bool
	list, err := revlog.Open(t.Context(), log, revlog.Config{Now: func() time.Time {
		if armed.CompareAndSwap(true, false) { // Revoked has found the first entry, and checks whether it has expired
			log.release <- struct{}{}
			assert.NoError(t, list.Ready(t.Context()))
		}
		return now
	}})
	require.NoError(t, err)
	defer list.Close()
	assert.Equal(t, 0, <-log.reads)
	log.release <- struct{}{}
	assert.Equal(t, 1, <-log.reads) // the first entry is applied, and the list waits for the second
	token := &oauthz.Token{Issuer: "i", Subject: "s", IssuedAt: now}
	armed.Store(true)
	revoked, err := list.Revoked(t.Context(), token)
	assert.False(t, armed.Load())
	assert.True(t, revoked || err != nil, "Revoked reports a revoked token as not revoked")
	revoked, err = list.Revoked(t.Context(), token)
	require.NoError(t, err)
	assert.True(t, revoked)
}

// A caller may reuse its map after Append.
func TestMemoryCopiesMatch(t *testing.T) {
	t.Parallel()
	var log revlog.Memory
	match := map[string]any{"iss": "i", "sub": "s"}
	require.NoError(t, log.Append(t.Context(), oauthz.Revocation{Match: match}))
	match["sub"] = "another"
	revs, _, err := log.Read(t.Context(), "", 0)
	require.NoError(t, err)
	require.Len(t, revs, 1)
	assert.Equal(t, "s", revs[0].Match["sub"])
}
