package oauthz_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// The list that is measured: a million revocations of three shapes, with values of 36 bytes.
const (
	benchRevocations = 1_000_000
	benchTokens      = 1 << 14
)

var benchShapes = []string{"jti", "sub", "sid"}

func benchValue(i int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i*7919) }

func filled(b *testing.B, n int) *oauthz.Revocations {
	b.Helper()
	list := &oauthz.Revocations{}
	expires := time.Now().Add(time.Hour)
	for i := range n {
		rev := oauthz.Revocation{
			Match:   map[string]any{"iss": "https://login.example.com", benchShapes[i%3]: benchValue(i)},
			Expires: expires, At: expires.Add(-time.Hour),
		}
		require.NoError(b, list.Revoke(context.Background(), rev))
	}
	return list
}

// good are tokens that are not revoked, which is what nearly every request brings.
func good(b *testing.B, n int) []*oauthz.Token {
	b.Helper()
	tokens := make([]*oauthz.Token, n)
	for i := range tokens {
		var random [12]byte
		_, _ = rand.Read(random[:])
		value := "ffffffff-0000-" + hex.EncodeToString(random[:])[:22]
		var err error
		tokens[i], err = oauthz.ParseToken(fmt.Appendf(nil,
			`{"iss":"https://login.example.com","jti":%q,"sub":%q,"sid":%q,"iat":1763800000}`, value, value+"s", value+"d"))
		require.NoError(b, err)
	}
	return tokens
}

// BenchmarkRevoked compares a look-up with three look-ups in a plain map of that size, whose keys are hashes that
// somebody else has computed.
func BenchmarkRevoked(b *testing.B) {
	tokens := good(b, benchTokens)
	b.Run("by=oauthz", func(b *testing.B) {
		before := heap()
		list := filled(b, benchRevocations)
		held := float64(heap()-before) / benchRevocations
		b.ReportAllocs()
		b.ResetTimer()
		for i := 0; b.Loop(); i++ {
			if revoked, _ := list.Revoked(context.Background(), tokens[i&(benchTokens-1)]); revoked {
				b.Fatal("revoked")
			}
		}
		b.ReportMetric(held, "B/entry")
	})
	b.Run("by=map", func(b *testing.B) {
		plain, keys := plainMap(tokens)
		b.ReportAllocs()
		b.ResetTimer()
		now := time.Now().Unix()
		for i := 0; b.Loop(); i++ {
			for shape := range benchShapes {
				if plain[keys[i&(benchTokens-1)][shape]] > now {
					b.Fatal("revoked")
				}
			}
		}
	})
}

// plainMap has a million entries, and keys are those of tokens.
func plainMap(tokens []*oauthz.Token) (plain map[[16]byte]int64, keys [][3][16]byte) {
	seed := maphash.MakeSeed()
	key := func(value string) (k [16]byte) {
		sum := maphash.String(seed, value)
		binary.LittleEndian.PutUint64(k[:], sum)
		binary.LittleEndian.PutUint64(k[8:], ^sum)
		return k
	}
	expires := time.Now().Add(time.Hour).Unix()
	plain = map[[16]byte]int64{}
	for i := range benchRevocations {
		plain[key(benchValue(i))] = expires
	}
	for _, t := range tokens {
		keys = append(keys, [3][16]byte{key(t.ID), key(t.Subject), key(t.SessionID)})
	}
	return plain, keys
}

// BenchmarkRevokedWhileAdding is the same with 8 goroutines, while another adds entries.
func BenchmarkRevokedWhileAdding(b *testing.B) {
	tokens := good(b, benchTokens)
	list := filled(b, benchRevocations)
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		added := 0
		defer func() { done <- added }()
		for ; ; added++ {
			select {
			case <-stop:
				return
			default:
			}
			rev := oauthz.Revocation{Match: map[string]any{"iss": "https://login.example.com", "jti": benchValue(benchRevocations + added)}}
			_ = list.Revoke(context.Background(), rev)
		}
	}()
	b.SetParallelism(4)
	b.ReportAllocs()
	b.ResetTimer()
	var start atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for i := start.Add(7919); pb.Next(); i++ {
			if revoked, _ := list.Revoked(context.Background(), tokens[i&(benchTokens-1)]); revoked {
				b.Error("revoked")
			}
		}
	})
	b.StopTimer()
	close(stop)
	b.ReportMetric(float64(<-done)/b.Elapsed().Seconds(), "added/s")
}

// BenchmarkRevocationsLoad10M is run with -benchtime 1x.
func BenchmarkRevocationsLoad10M(b *testing.B) {
	const n = 10_000_000
	for b.Loop() {
		before, start := heap(), time.Now()
		list := filled(b, n)
		b.ReportMetric(float64(n)/time.Since(start).Seconds(), "entries/s")
		b.ReportMetric(float64(heap()-before)/n, "B/entry")
		if revoked, _ := list.Revoked(context.Background(), good(b, 1)[0]); revoked {
			b.Fatal("revoked")
		}
	}
}
