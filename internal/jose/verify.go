package jose

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	errNoKeys = errors.New("no keys yet")
	errStale  = errors.New("the keys are too old")
	errRecent = errors.New("key not known, and the keys were fetched a moment ago")
)

// errReplaced is the refusal of a token that names a published key, does not
// verify with it, and may be younger than it. It wraps ErrKey, so that the
// refusal is never remembered: the issuer may publish another key of that name at
// any moment.
var errReplaced = fmt.Errorf("%w: %w", ErrKey, ErrSignature)

// Verify checks the signature of j. It returns ErrMalformed, ErrAlgorithm, ErrKey
// or ErrSignature to refuse j, and *Unavailable if there is a fault.
func (s *Set) Verify(ctx context.Context, j *JWS) (Validity, error) {
	if _, ok := algorithms[j.Algorithm]; !ok {
		return Validity{}, ErrAlgorithm
	}
	current := s.state.Load()
	if s.checkUsable(current) == nil {
		v, err := s.verifyWith(ctx, current, j)
		if err == nil || s.isFinal(current, j, err) {
			return v, err
		}
	}
	return s.verifyWithNewer(ctx, current, j)
}

// Ready returns nil if there are keys to verify with.
func (s *Set) Ready() error {
	current := s.state.Load()
	if err := s.checkUsable(current); err != nil {
		return err
	}
	if len(current.keys) == 0 {
		return errNoKeys
	}
	return nil
}

// checkUsable returns nil if current, which may hold no key, can judge a token.
func (s *Set) checkUsable(current *state) error {
	switch {
	case current == nil:
		return errNoKeys
	case s.isStale(current):
		return errStale
	default:
		return nil
	}
}

func (s *Set) isStale(current *state) bool {
	bound := s.maxStale()
	return bound >= 0 && s.cfg.Now().Sub(current.fetched) > bound
}

// maxStale returns how long keys serve after their fetch; negative: without an
// end. When the context has ended, the Set no longer notices that a key is
// withdrawn, so the keys serve no longer than they do without a fault.
func (s *Set) maxStale() time.Duration {
	if s.cfg.Fetch == nil || s.ctx.Err() == nil {
		return s.cfg.MaxStale
	}
	if s.cfg.MaxStale < 0 {
		return s.cfg.RefreshInterval
	}
	return min(s.cfg.MaxStale, s.cfg.RefreshInterval)
}

// verifyWith verifies j with at most maxTried keys of current.
func (s *Set) verifyWith(ctx context.Context, current *state, j *JWS) (Validity, error) {
	c := current.candidatesFor(j.KeyID, j.Algorithm)
	if c == nil {
		return Validity{}, ErrKey
	}
	signature, err := decode(j.signature)
	if err != nil {
		return Validity{}, err
	}
	set, err := s.keyfunc.VerificationKeySet(&lookupContext{ctx, c})
	if err != nil {
		return Validity{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	method := algorithms[j.Algorithm].method
	for i, public := range set.Keys {
		if method.Verify(j.signed, signature, public) == nil {
			return s.validityOf(current, c.keys[i]), nil
		}
	}
	return Validity{}, ErrSignature
}

func (s *Set) validityOf(current *state, k *key) Validity {
	v := Validity{Live: k.isLive}
	if bound := s.maxStale(); bound >= 0 {
		v.Until = current.fetched.Add(bound)
	}
	return v
}

// isFinal reports whether err, the result of the keys of current, is the answer
// because no newer keys could change it. A server that restarts may sign with a
// new key, even of another kind, under an old name. So for a token that names a
// published key, the result is final only if the token is older than our copy of
// the keys.
func (s *Set) isFinal(current *state, j *JWS, err error) bool {
	switch {
	case s.cfg.Fetch == nil, errors.Is(err, ErrMalformed):
		return true
	case !current.hasKeyID(j.KeyID):
		return false
	default:
		return !s.mayBeNewer(current, j)
	}
}

// mayBeNewer reports whether j may have been signed with a key that was published
// after the document of current. The iat is a time of the issuer's clock, which
// may differ from ours by Leeway. The iat is also in whole seconds, so that
// without a Leeway the second of the document counts as after the document.
func (s *Set) mayBeNewer(current *state, j *JWS) bool {
	issuedAt, ok := j.unverifiedIssuedAt()
	oldest := current.published.Add(-s.cfg.Leeway)
	if second := current.published.Truncate(time.Second); second.Before(oldest) {
		oldest = second
	}
	return ok && !issuedAt.Before(oldest)
}

// verifyWithNewer verifies a token that the keys of tried do not verify. It waits
// for newer keys, if a fetch is allowed now. A fetch that was running before the
// token arrived may have missed its key: verifyWithNewer then causes one more.
func (s *Set) verifyWithNewer(ctx context.Context, tried *state, j *JWS) (Validity, error) {
	for {
		call, own := s.fetchNewer(tried)
		if call == nil {
			return Validity{}, s.unknownKeyError(tried, j)
		}
		if err := s.wait(ctx, call); err != nil {
			return Validity{}, err
		}
		current := s.state.Load()
		if s.checkUsable(current) == nil {
			v, err := s.verifyWith(ctx, current, j)
			switch {
			case err == nil, s.isFinal(current, j, err):
				return v, err
			case own:
				return Validity{}, s.missingKeyError(current, j, err)
			}
		}
		tried = current
	}
}

// wait blocks until call has ended or ctx is done. Its errors are faults.
func (s *Set) wait(ctx context.Context, call *fetchCall) error {
	select {
	case <-call.done:
	case <-ctx.Done():
		return &Unavailable{Err: ctx.Err()}
	}
	if call.err != nil {
		return &Unavailable{RetryAfter: s.untilNextFetch(), Err: call.err}
	}
	return nil
}

// missingKeyError returns the result for a token that current, which was fetched
// for this token, does not verify: a refusal if the server itself has answered.
// A cache on the way may hold a document that is older than the token, although
// the request demanded a new one.
func (s *Set) missingKeyError(current *state, j *JWS, err error) error {
	if current.published.Before(current.fetched) {
		return s.unknownKeyError(current, j)
	}
	if errors.Is(err, ErrSignature) {
		return errReplaced
	}
	return err
}

// unknownKeyError returns a fault for a token that may have been signed with a
// key newer than ours, and a refusal for any other.
func (s *Set) unknownKeyError(current *state, j *JWS) error {
	if err := s.checkUsable(current); err != nil {
		return &Unavailable{RetryAfter: s.untilNextFetch(), Err: err}
	}
	if s.mayBeNewer(current, j) {
		return &Unavailable{RetryAfter: s.untilNextFetch(), Err: errRecent}
	}
	return ErrKey
}

// untilNextFetch returns the time until an unknown key may cause a fetch again,
// at least one second.
func (s *Set) untilNextFetch() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.intervalEnd.Sub(s.cfg.Now()), time.Second)
}
