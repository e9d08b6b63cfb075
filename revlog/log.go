package revlog

import (
	"context"
	"errors"
	"time"

	"github.com/oauthz/oauthz"
)

// Log is one shared, ordered, durable record of revocations. It must be safe for
// concurrent use, also by several processes where the store is shared.
type Log interface {
	// Append adds revs, all of them or none. A nil error means that they are
	// durable: no crash loses them, of whatever process, and each Read that begins
	// later finds them. After an error they may be there all the same, and adding
	// them again does no harm.
	Append(ctx context.Context, revs ...oauthz.Revocation) error
	// Read returns what comes after position after ("" is the beginning of what
	// is retained), the oldest first, and the position of the last of it. While
	// there is nothing it waits, for at most wait. No entries and no error mean
	// that the reader has everything that was durable when Read was called; next
	// is then a position from which to go on.
	//
	// An entry that becomes durable while a Read runs is either returned or comes
	// after next, whatever order it was written in. An entry that cannot be
	// read is an error, never left out; those before it may come with the error,
	// and next is then the position of the last of them.
	//
	// A position is that of an entry, and no other entry ever has it. Any position
	// that a Read has returned may be read from again, as long as its entry is
	// there. If it is not, or if another part of what was read up to it is known to
	// be gone, Read returns [ErrTruncated] and no entries, within wait, even if the
	// log is empty. The reader then reads again from an older position, or from "".
	Read(ctx context.Context, after string, wait time.Duration) (revs []oauthz.Revocation, next string, err error)
}

// Batcher is a Log that says how many entries a Read returns at most: one that
// returns fewer, and no error, has returned all that there was when it was
// called. From any other log a list knows that it has everything only when a
// Read returns nothing, and lags behind one that is written to without a pause.
type Batcher interface {
	Log
	Batch() int
}

// Pacer is a Log of which each Read costs a server something. While a list is
// woken more often than once in each Pace, for some eight times, it reads
// about once in each Pace, at random intervals, so that it reads together the
// entries that were appended meanwhile. Each revocation may then take effect up to 1.25 Pace later.
// A list that is woken less often is never delayed. Zero: lists never pause.
type Pacer interface {
	Log
	Pace() time.Duration
}

// ErrTruncated is returned by a Read from a position whose entry the log does not
// have: it has expired and was dropped, or it was lost.
var ErrTruncated = errors.New("revlog: the log is truncated after the position")
