package providers

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/oauthz/oauthz"
)

// ErrNotRecorded is returned when the [oauthz.Revoker] failed; the error of the
// Revoker is wrapped beside it. It does not depend on the answer of the vendor.
// The [OperationError] around it names the vendor.
var ErrNotRecorded = errors.New("the revocation is not recorded here")

// recordTimeout bounds the call of the Revoker, which the caller's context does not
// end.
const recordTimeout = 5 * time.Second

// Recorder records the tokens that a vendor is called to revoke in an
// [oauthz.Revoker]. A Guard with that list then refuses them at once, even if a
// cache still holds them, and whether or not the vendor revokes them. It is safe
// for concurrent use if the Revoker is.
type Recorder struct {
	_ struct{}

	// Vendor is the name of the vendor, as in [OperationError]. Required.
	Vendor string
	// Issuer is the Issuer that introspected tokens of the vendor have. Required.
	Issuer string
	// Revoker is called with every revocation. Default: none, and nothing is
	// recorded.
	Revoker oauthz.Revoker
	// Now is the clock. Required.
	Now func() time.Time
}

// Check returns an error if Revoker holds a nil pointer, function or map, whose
// Revoke would panic.
func (r *Recorder) Check() error {
	switch v := reflect.ValueOf(r.Revoker); v.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan:
		if v.IsNil() {
			return errors.New("is a nil pointer or function inside the interface")
		}
	}
	return nil
}

// OfToken returns the revocation of token by its hash ([oauthz.TokenHash]). The
// introspector of package remote adds that hash to every token that it introspects,
// and every encoding of a JWT has the same hash. The revocation expires after keep; if
// keep is zero, it never expires.
//
// The revocation has no IssuedUntil: the hash names one token, and a token must not
// escape because the clock of the vendor is ahead of ours.
func (r *Recorder) OfToken(token string, keep time.Duration) oauthz.Revocation {
	rev := oauthz.Revocation{Match: map[string]any{"iss": r.Issuer, oauthz.MatchTokenHash: oauthz.TokenHash(token)}}
	if keep > 0 {
		rev.Expires = r.Now().Add(keep)
	}
	return rev
}

// Revoke records revs, with the current time as At and the operation as Reason, and
// then calls revoke, which calls the vendor. Either is done even if the other fails:
//
//   - revs are recorded first, so that no request is accepted here while the vendor
//     is called. The Revoker has 5 s, even if ctx has already ended.
//   - If ctx ends while the Revoker runs, revoke gets a context that does not end: a
//     slow list must not keep a token alive at the vendor. Therefore revoke must
//     have a time limit of its own.
//
// Revoke returns the error of revoke, an *[OperationError] that matches
// [ErrNotRecorded], or one error that wraps both, the error of revoke first.
func (r *Recorder) Revoke(ctx context.Context, operation string, revoke func(context.Context) error, revs ...oauthz.Revocation) error {
	if r.Revoker == nil || len(revs) == 0 {
		return revoke(ctx)
	}
	wasAlive := ctx.Err() == nil
	notRecorded := r.record(ctx, operation, slices.Clone(revs))
	if wasAlive && ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	err := revoke(ctx)
	switch {
	case notRecorded == nil:
		return err
	case err == nil:
		return notRecorded
	default:
		return fmt.Errorf("%w; %w", err, notRecorded)
	}
}

func (r *Recorder) record(ctx context.Context, operation string, revs []oauthz.Revocation) error {
	now := r.Now()
	for i := range revs {
		revs[i].At, revs[i].Reason = now, r.Vendor+": "+operation
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := r.Revoker.Revoke(ctx, revs...); err != nil {
		return &OperationError{Vendor: r.Vendor, Operation: operation, Err: fmt.Errorf("%w: %w", ErrNotRecorded, err)}
	}
	return nil
}
