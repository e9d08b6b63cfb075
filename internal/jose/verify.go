package jose

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	errNoKeys = errors.New("jose: no keys yet")
	errStale  = errors.New("jose: the keys are too old")
	errRecent = errors.New("jose: key not known, and asked for keys a moment ago")
)

// errReplaced is the refusal of a token that names a published key, does not
// verify with it, and may be younger than it. As an ErrKey it is never
// remembered: the issuer may publish another key of that name the next moment.
var errReplaced = fmt.Errorf("%w: %w", ErrKey, ErrSignature)

// Verify checks the signature of j. Its errors are ErrMalformed, ErrAlgorithm,
// ErrKey, ErrSignature, which are refusals, and *Unavailable.
func (s *Set) Verify(ctx context.Context, j *JWS) (Validity, error) {
	if _, ok := algorithms[j.Algorithm]; !ok {
		return Validity{}, ErrAlgorithm
	}
	now := s.state.Load()
	if s.usable(now) == nil {
		v, err := s.try(ctx, now, j)
		if err == nil || s.final(now, j, err) {
			return v, err
		}
	}
	return s.tryNewer(ctx, now, j)
}

// Ready returns nil if there are keys to verify with.
func (s *Set) Ready() error {
	now := s.state.Load()
	if err := s.usable(now); err != nil {
		return err
	}
	if len(now.keys) == 0 {
		return errNoKeys
	}
	return nil
}

// usable returns nil if a token can be judged by now, which may hold no key.
func (s *Set) usable(now *state) error {
	switch {
	case now == nil:
		return errNoKeys
	case s.stale(now):
		return errStale
	default:
		return nil
	}
}

func (s *Set) stale(now *state) bool {
	bound := s.maxStale()
	return bound >= 0 && s.cfg.Now().Sub(now.fetched) > bound
}

// maxStale returns how long keys serve after their fetch; negative: without an end.
// After the end of the context nothing would notice that a key is withdrawn, so
// the keys serve no longer than they do without a fault.
func (s *Set) maxStale() time.Duration {
	if s.cfg.Fetch == nil || s.ctx.Err() == nil {
		return s.cfg.MaxStale
	}
	if s.cfg.MaxStale < 0 {
		return s.cfg.RefreshInterval
	}
	return min(s.cfg.MaxStale, s.cfg.RefreshInterval)
}

// try verifies with the keys of one state: at most maxTried.
func (s *Set) try(ctx context.Context, now *state, j *JWS) (Validity, error) {
	c := now.find(j.KeyID, j.Algorithm)
	if c == nil {
		return Validity{}, ErrKey
	}
	signature, err := decode(j.signature)
	if err != nil {
		return Validity{}, err
	}
	set, err := s.keyfunc.VerificationKeySet(&lookup{ctx, c})
	if err != nil {
		return Validity{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	method := algorithms[j.Algorithm].method
	for i, public := range set.Keys {
		if method.Verify(j.signed, signature, public) == nil {
			return s.validity(now, c.keys[i]), nil
		}
	}
	return Validity{}, ErrSignature
}

func (s *Set) validity(now *state, k *key) Validity {
	v := Validity{Live: k.live}
	if bound := s.maxStale(); bound >= 0 {
		v.Until = now.fetched.Add(bound)
	}
	return v
}

// final reports whether err, the result of the keys of now, is the answer,
// because no newer keys could change it. A server that restarts may sign with
// a new key under an old name (and of another kind): a token that names a
// published key is older than our copy of it, or may be signed by such a one.
func (s *Set) final(now *state, j *JWS, err error) bool {
	switch {
	case s.cfg.Fetch == nil, errors.Is(err, ErrMalformed):
		return true
	case !now.names(j.KeyID):
		return false
	default:
		return !s.mayBeNewer(now, j)
	}
}

// mayBeNewer reports whether j may have been signed with a key that was
// published after the document of now. The iat is of the issuer's clock, which
// may differ from ours by Leeway; and it is in whole seconds, so that without a
// Leeway the second of the document counts as after it.
func (s *Set) mayBeNewer(now *state, j *JWS) bool {
	issuedAt, ok := j.unverifiedIssuedAt()
	oldest := now.published.Add(-s.cfg.Leeway)
	if second := now.published.Truncate(time.Second); second.Before(oldest) {
		oldest = second
	}
	return ok && !issuedAt.Before(oldest)
}

// tryNewer is for a token whose key is not among those tried: it waits for newer
// keys, if any may be had now. A fetch that was under way before the token came
// may have missed its key: tryNewer then causes one more.
func (s *Set) tryNewer(ctx context.Context, tried *state, j *JWS) (Validity, error) {
	for {
		r, mine := s.ask(tried)
		if r == nil {
			return Validity{}, s.unknown(tried, j)
		}
		if err := s.wait(ctx, r); err != nil {
			return Validity{}, err
		}
		now := s.state.Load()
		if s.usable(now) == nil {
			v, err := s.try(ctx, now, j)
			switch {
			case err == nil, s.final(now, j, err):
				return v, err
			case mine:
				return Validity{}, s.missing(now, j, err)
			}
		}
		tried = now
	}
}

// wait waits for r. Its errors are faults.
func (s *Set) wait(ctx context.Context, r *round) error {
	select {
	case <-r.done:
	case <-ctx.Done():
		return &Unavailable{Err: ctx.Err()}
	}
	if r.err != nil {
		return &Unavailable{RetryAfter: s.untilNext(), Err: r.err}
	}
	return nil
}

// missing is the result for a token that now, fetched for it, does not verify:
// a refusal if the server itself has answered. A cache on the way may hold a
// document that is older than the token, although it was asked for a new one.
func (s *Set) missing(now *state, j *JWS, err error) error {
	if now.published.Before(now.fetched) {
		return s.unknown(now, j)
	}
	if errors.Is(err, ErrSignature) {
		return errReplaced
	}
	return err
}

// unknown returns a fault for a token that could have been signed with a key
// newer than ours, and a refusal for one that could not.
func (s *Set) unknown(now *state, j *JWS) error {
	if err := s.usable(now); err != nil {
		return &Unavailable{RetryAfter: s.untilNext(), Err: err}
	}
	if s.mayBeNewer(now, j) {
		return &Unavailable{RetryAfter: s.untilNext(), Err: errRecent}
	}
	return ErrKey
}

// untilNext returns the time until the next slot for a fetch.
func (s *Set) untilNext() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(s.slot.Sub(s.cfg.Now()), time.Second)
}
