package remote

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/oauthz/oauthz"
)

// ErrNotRecorded: the [oauthz.Revoker] failed, whose error is wrapped beside this
// one. What the vendor did is another matter.
var ErrNotRecorded = errors.New("remote: the revocation is not recorded here")

// recordTime is how long a Revoker has, since the caller's context does not end it.
const recordTime = 5 * time.Second

// Recorder has an [oauthz.Revoker] record what a vendor is asked to revoke, so
// that it is refused at once, whatever a cache remembers and whatever the vendor
// answers. The clients in the providers folder share it. It is safe for
// concurrent use, as the Revoker must be.
type Recorder struct {
	_ struct{}

	// Vendor is whose API it is, as in [OperationError]. Required.
	Vendor string
	// Issuer is that of the vendor's tokens, as they are introspected. Required.
	Issuer string
	// Revoker is told. Default: none, and nothing is recorded.
	Revoker oauthz.Revoker
	// Now is the clock. Required.
	Now func() time.Time
}

// Check finds a nil pointer, function or map inside Revoker, which would panic
// when it is told.
func (r *Recorder) Check() error {
	switch v := reflect.ValueOf(r.Revoker); v.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		if v.IsNil() {
			return errors.New("is a nil pointer or function inside the interface")
		}
	}
	return nil
}

// OfToken returns the revocation of token by its hash ([oauthz.TokenHash]), which
// [Introspector] gives to the tokens that it introspects: every encoding of a JWT
// has the same. It is kept for so long; zero: it never expires.
//
// There is no IssuedUntil: the hash names one token, and the clock of a vendor
// that is ahead of ours must not save it.
func (r *Recorder) OfToken(token string, keep time.Duration) oauthz.Revocation {
	rev := oauthz.Revocation{Match: map[string]any{"iss": r.Issuer, oauthz.MatchTokenHash: oauthz.TokenHash(token)}}
	if keep > 0 {
		rev.Expires = r.Now().Add(keep)
	}
	return rev
}

// Revoke records revs, with the time and the operation as their reason, and then
// calls ask, which asks the vendor. Neither depends on how the other ends: they
// are recorded first, so that what comes between leaves nothing accepted here;
// within 5 s of their own, even if ctx is over; and if ctx ends in that time, ask
// has one that does not, for a list that is slow must not keep a token alive
// at the vendor. ask has to have a bound of its own.
//
// The error is that of ask, an *[OperationError] that matches [ErrNotRecorded],
// or both joined, that of ask first.
func (r *Recorder) Revoke(ctx context.Context, operation string, ask func(context.Context) error, revs ...oauthz.Revocation) error {
	if r.Revoker == nil || len(revs) == 0 {
		return ask(ctx)
	}
	alive := ctx.Err() == nil
	notRecorded := r.record(ctx, operation, slices.Clone(revs))
	if alive && ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	err := ask(ctx)
	switch {
	case notRecorded == nil:
		return err
	case err == nil:
		return notRecorded
	default:
		return errors.Join(err, notRecorded)
	}
}

func (r *Recorder) record(ctx context.Context, operation string, revs []oauthz.Revocation) error {
	now := r.Now()
	for i := range revs {
		revs[i].At, revs[i].Reason = now, r.Vendor+": "+operation
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if err := r.Revoker.Revoke(ctx, revs...); err != nil {
		return &OperationError{Vendor: r.Vendor, Operation: operation, Err: fmt.Errorf("%w: %w", ErrNotRecorded, err)}
	}
	return nil
}
