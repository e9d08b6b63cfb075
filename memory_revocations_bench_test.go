package oauthz_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
)

// The measured list has a million revocations of three shapes, with values of 36 bytes.
const benchRevocations = 1_000_000

var benchShapes = []string{"jti", "sub", "sid"}

func benchValue(i int) string { return fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i*7919) }

func filled(b *testing.B, n int) *oauthz.MemoryRevocations {
	b.Helper()
	list := &oauthz.MemoryRevocations{}
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

// bearer is a token that is not revoked, like that of nearly every request, and its successive values, of 36 bytes each.
// (Many tokens in memory would measure how slowly they are read: a request has just parsed its own.)
type bearer struct {
	token  oauthz.Token
	values string
}

const benchTokens = 1 << 16

func newBearer() *bearer {
	var values strings.Builder
	for i := range 3 * benchTokens {
		values.WriteString(benchValue(benchRevocations + i))
	}
	return &bearer{oauthz.Token{Issuer: "https://login.example.com", IssuedAt: time.Now()}, values.String()}
}

func (b *bearer) value(i int) string { return b.values[i*36 : i*36+36] }

func (b *bearer) next(i int) *oauthz.Token {
	i = i & (benchTokens - 1) * 3
	b.token.ID, b.token.Subject, b.token.SessionID = b.value(i), b.value(i+1), b.value(i+2)
	return &b.token
}

// BenchmarkRevoked compares a look-up with three look-ups in a plain map of the same size, whose keys are hashes that were
// computed before.
func BenchmarkRevoked(b *testing.B) {
	bearer := newBearer()
	b.Run("by=oauthz", func(b *testing.B) {
		before := heap()
		list := filled(b, benchRevocations)
		held := float64(heap()-before) / benchRevocations
		b.ReportAllocs()
		b.ResetTimer()
		for i := 0; b.Loop(); i++ {
			if revoked, _ := list.Revoked(context.Background(), bearer.next(i)); revoked {
				b.Fatal("revoked")
			}
		}
		b.ReportMetric(held, "B/entry")
	})
	b.Run("by=map", func(b *testing.B) {
		plain, keys := plainMap(bearer)
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

// plainMap returns a map of a million entries, and the keys of tokens that it does not have.
func plainMap(b *bearer) (plain map[[16]byte]int64, keys [][3][16]byte) {
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
	for i := range benchTokens {
		t := b.next(i)
		keys = append(keys, [3][16]byte{key(t.ID), key(t.Subject), key(t.SessionID)})
	}
	return plain, keys
}

// BenchmarkRevokedWhileAdding measures look-ups in 8 goroutines, while another adds entries as fast as it can. The map
// needs a lock then, for which its readers wait.
func BenchmarkRevokedWhileAdding(b *testing.B) {
	values := newBearer().values
	b.Run("by=oauthz", func(b *testing.B) {
		list := filled(b, benchRevocations)
		add := func(i int) {
			rev := oauthz.Revocation{Match: map[string]any{"iss": "https://login.example.com", "jti": benchValue(8*benchRevocations + i)}}
			_ = list.Revoke(context.Background(), rev)
		}
		inParallel(b, add, func() func(i int) bool {
			bearer := &bearer{oauthz.Token{Issuer: "https://login.example.com"}, values}
			return func(i int) bool {
				revoked, _ := list.Revoked(context.Background(), bearer.next(i))
				return revoked
			}
		})
	})
	b.Run("by=map", func(b *testing.B) {
		plain, keys := plainMap(newBearer())
		var mu sync.RWMutex
		now := time.Now().Unix()
		add := func(i int) {
			var key [16]byte
			binary.LittleEndian.PutUint64(key[:], uint64(i))
			mu.Lock()
			plain[key] = now
			mu.Unlock()
		}
		inParallel(b, add, func() func(i int) bool {
			return func(i int) bool {
				mu.RLock()
				defer mu.RUnlock()
				revoked := false
				for shape := range benchShapes {
					revoked = revoked || plain[keys[i&(benchTokens-1)][shape]] > now
				}
				return revoked
			}
		})
	})
}

// inParallel measures look-ups in 8 goroutines while one adds.
func inParallel(b *testing.B, add func(i int), newLookup func() func(i int) bool) {
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		for added := 0; ; added++ {
			select {
			case <-stop:
				done <- added
				return
			default:
				add(added)
			}
		}
	}()
	b.SetParallelism(max(8/runtime.GOMAXPROCS(0), 1))
	b.ReportAllocs()
	b.ResetTimer()
	var start atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		lookup := newLookup()
		for i := int(start.Add(7919)); pb.Next(); i++ {
			if lookup(i) {
				b.Error("revoked")
			}
		}
	})
	b.StopTimer()
	close(stop)
	b.ReportMetric(float64(<-done)/b.Elapsed().Seconds(), "added/s")
}
