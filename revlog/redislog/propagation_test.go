package redislog_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/redislog"
)

// BenchmarkPropagation measures the time from the call of Revoke on one instance until another
// instance refuses the token. It revokes ten times a second: under load a list puts its reads
// together (see Log.Pace).
func BenchmarkPropagation(b *testing.B) {
	s := startServer(b)
	open := func(log revlog.Log) *revlog.List {
		list, err := revlog.Open(b.Context(), log, revlog.Config{})
		require.NoError(b, err)
		b.Cleanup(func() { _ = list.Close() }) // never fails
		require.NoError(b, list.Ready(b.Context()))
		return list
	}
	one, other := open(s.open(b, redislog.Config{})), open(s.open(b, redislog.Config{}))
	var took []time.Duration
	pause := time.NewTicker(100 * time.Millisecond)
	defer pause.Stop()
	for b.Loop() {
		<-pause.C
		token := &oauthz.Token{Issuer: issuer, ID: strconv.Itoa(len(took))}
		began := time.Now()
		require.NoError(b, one.Revoke(b.Context(), revocation(token.ID, time.Hour)))
		took = append(took, refused(b, other, token).Sub(began))
	}
	slices.Sort(took)
	for name, share := range map[string]float64{"p50-ms": 0.50, "p99-ms": 0.99, "max-ms": 1} {
		i := min(int(share*float64(len(took))), len(took)-1)
		b.ReportMetric(float64(took[i].Microseconds())/1000, name)
	}
}

// refused waits until a list reports a token as revoked, and returns that time.
func refused(b *testing.B, list *revlog.List, token *oauthz.Token) time.Time {
	b.Helper()
	tick := time.NewTicker(100 * time.Microsecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if revoked, err := list.Revoked(b.Context(), token); revoked {
			return time.Now()
		} else if err != nil {
			b.Fatal(err)
		}
	}
	b.Fatal("the token was never refused")
	return time.Time{}
}
