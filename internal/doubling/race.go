//go:build race

package doubling

// share of the largest input that is checked. The race detector makes all work
// several times slower; a square shows in small inputs too.
const share = 8
