package redislog_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/redislog"
)

// told is a Log that says when a list reads again, which is when it has applied what it read before.
type told struct {
	revlog.Log
	reads chan time.Time
}

func (l told) Read(ctx context.Context, after string, wait time.Duration) ([]oauthz.Revocation, string, error) {
	select {
	case l.reads <- time.Now():
	default:
	}
	return l.Log.Read(ctx, after, wait)
}

// BenchmarkPropagation measures how long it takes from the call of Revoke on one instance until another refuses the token.
func BenchmarkPropagation(b *testing.B) {
	s := startServer(b)
	open := func(log revlog.Log) *revlog.List {
		list, err := revlog.Open(b.Context(), log, revlog.Config{})
		require.NoError(b, err)
		b.Cleanup(func() { _ = list.Close() }) // never fails
		require.NoError(b, list.Ready(b.Context()))
		return list
	}
	reads := make(chan time.Time, 1024)
	one, other := open(s.open(b, redislog.Config{})), open(told{s.open(b, redislog.Config{}), reads})
	var took []time.Duration
	for b.Loop() {
		token := &oauthz.Token{Issuer: issuer, ID: strconv.Itoa(len(took))}
		began := time.Now()
		require.NoError(b, one.Revoke(b.Context(), revocation(token.ID, time.Hour)))
		took = append(took, refused(b, other, token, reads).Sub(began))
	}
	slices.Sort(took)
	for name, share := range map[string]float64{"p50-ms": 0.50, "p99-ms": 0.99, "max-ms": 1} {
		i := min(int(share*float64(len(took))), len(took)-1)
		b.ReportMetric(float64(took[i].Microseconds())/1000, name)
	}
}

// refused waits until a list refuses a token, and returns since when it does.
func refused(b *testing.B, list *revlog.List, token *oauthz.Token, reads <-chan time.Time) time.Time {
	b.Helper()
	deadline := time.After(patience)
	for {
		select {
		case at := <-reads:
			if revoked, err := list.Revoked(b.Context(), token); revoked {
				return at
			} else if err != nil {
				b.Fatal(err)
			}
		case <-deadline:
			b.Fatal("it was never refused")
		}
	}
}
