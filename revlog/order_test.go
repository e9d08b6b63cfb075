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

// stages is a log whose reads return one entry each, the later ones when they are let go.
type stages struct {
	revlog.Log
	entries []oauthz.Revocation
	reads   chan int // of which entry somebody waits for
	letGo   chan struct{}
}

func (s *stages) Read(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
	if len(after) == len(s.entries) {
		if wait > 0 {
			<-ctx.Done()
		}
		return nil, after, ctx.Err()
	}
	s.reads <- len(after)
	select {
	case <-s.letGo:
		return s.entries[len(after) : len(after)+1], after + "x", nil
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
}

// A list that catches up between two looks has not told the truth: what made it healthy is what revokes the token.
func TestListIsHealthyBeforeItLooks(t *testing.T) {
	t.Parallel()
	now := time.Now()
	subject := func(until time.Time) oauthz.Revocation {
		return oauthz.Revocation{Match: map[string]any{"iss": "i", "sub": "s"}, IssuedUntil: until}
	}
	log := &stages{entries: []oauthz.Revocation{subject(now.Add(-time.Hour)), subject(now)}, reads: make(chan int), letGo: make(chan struct{})}
	var list *revlog.List
	var armed atomic.Bool
	list, err := revlog.Open(t.Context(), log, revlog.Config{Now: func() time.Time {
		if armed.CompareAndSwap(true, false) { // it has found the first entry, and asks whether that is over
			log.letGo <- struct{}{}
			assert.NoError(t, list.Ready(t.Context()))
		}
		return now
	}})
	require.NoError(t, err)
	defer list.Close()
	assert.Equal(t, 0, <-log.reads)
	log.letGo <- struct{}{}
	assert.Equal(t, 1, <-log.reads) // so the first has been applied, and the second is waited for
	token := &oauthz.Token{Issuer: "i", Subject: "s", IssuedAt: now}
	armed.Store(true)
	revoked, err := list.Revoked(t.Context(), token)
	assert.False(t, armed.Load())
	assert.True(t, revoked || err != nil, "it says that a token that is revoked is not")
	revoked, err = list.Revoked(t.Context(), token)
	require.NoError(t, err)
	assert.True(t, revoked)
}

// A caller may use its map again.
func TestMemoryKeepsItsOwnMatch(t *testing.T) {
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
