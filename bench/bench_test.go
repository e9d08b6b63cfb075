package main

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/bench/internal/cases"
	"github.com/oauthz/oauthz/bench/internal/figures"
)

// suite is started by the first benchmark. Its servers end with the process, which may run all benchmarks.
var suite = sync.OnceValues(func() (*cases.Suite, error) { return cases.New(context.Background()) })

func benchmark(b *testing.B, name string) {
	s, err := suite()
	require.NoError(b, err)
	for _, c := range s.Of(name) {
		b.Run(c.Sub(), c.Run)
	}
}

func BenchmarkBareVerification(b *testing.B) { benchmark(b, figures.Bare) }
func BenchmarkNewToken(b *testing.B)         { benchmark(b, figures.NewToken) }
func BenchmarkSeenToken(b *testing.B)        { benchmark(b, figures.SeenToken) }
func BenchmarkNewOpaque(b *testing.B)        { benchmark(b, figures.NewOpaque) }
func BenchmarkSeenOpaque(b *testing.B)       { benchmark(b, figures.SeenOpaque) }
func BenchmarkFramework(b *testing.B)        { benchmark(b, figures.Framework) }
