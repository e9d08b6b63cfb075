package revlog

import (
	"context"
	"errors"
	"time"

	"github.com/oauthz/oauthz"
)

// Log is one shared, ordered, durable record of revocations. It must be safe for concurrent
// use, and for use by several processes if the store is shared.
type Log interface {
	// Append adds all of revs or none of them. A nil error means that they are durable: no
	// crash of any process loses them, and each Read that begins later finds them. After an
	// error the log may nevertheless have them, and adding them again does no harm.
	Append(ctx context.Context, revs ...oauthz.Revocation) error
	// Read returns the entries that come after the position after, the oldest first, and the
	// position of the last of them. "" is the beginning of the entries that are retained. If
	// there are none, Read waits for at most wait. If it returns no entries and no error, the
	// reader has everything that was durable when Read was called, and next is a position from
	// which to continue.
	//
	// An entry that becomes durable while a Read runs is either returned or comes after next,
	// in whatever order the entries were written. An entry that cannot be read is an error and
	// is never left out. The entries before it may be returned with the error; next is then the
	// position of the last of them.
	//
	// A position is the position of one entry, and no other entry ever has the same position. A
	// reader may read again from any position that a Read has returned, as long as its entry is
	// in the log. If that entry is missing, or if another entry that was read before it is
	// known to be missing, Read returns [ErrTruncated] and no entries, within wait, even if the
	// log is empty. The reader then reads again from an older position, or from "".
	Read(ctx context.Context, after string, wait time.Duration) (revs []oauthz.Revocation, next string, err error)
}

// Batcher is a Log that limits how many entries a Read returns. A Read that returns fewer than
// Batch entries and no error has returned everything that there was when it was called. If a
// log is not a Batcher, a list knows that it has everything only when a Read returns no
// entries, and it lags behind a log that is written to without a pause.
type Batcher interface {
	Log
	// Batch returns the most entries that a Read returns.
	Batch() int
}

// Pacer is a Log whose server has work with each Read. While a list is woken more often than
// once in each Pace, for some eight times, it reads about once in each Pace, at random
// intervals, so that it reads together the entries that were appended meanwhile. Each
// revocation may then take effect up to 1.25 times Pace later. A list that is woken less often
// is never delayed.
type Pacer interface {
	Log
	// Pace returns the average time between two Reads under load. Zero: lists never pause.
	Pace() time.Duration
}

// ErrTruncated is returned by a Read from a position whose entry is not in the log: the entry
// expired and was deleted, or it was lost.
var ErrTruncated = errors.New("revlog: the log is truncated after the position")
