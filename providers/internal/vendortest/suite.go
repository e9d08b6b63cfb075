package vendortest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers"
)

// Suite is the tests of a client whose operations revoke tokens, also in a list here.
type Suite[C oauthz.Introspector] struct {
	Vendor string
	// Token is revoked by the Operations, Other is not. Secret is part of Token.
	Token, Other, Secret string
	Operations           []Operation[C]
	// Scene returns a scene whose vendor answers the requests that revoke by revoke.
	// The Revoker of its clients is the list of the scene, unless there is a revoker;
	// that may be nil.
	Scene func(t *testing.T, revoke http.HandlerFunc, revoker ...oauthz.Revoker) *Scene[C]
}

// Operation is one that revokes [Suite].Token; Success is the status that the vendor
// answers with if it does so.
type Operation[C oauthz.Introspector] struct {
	Name    string
	Success int
	Call    func(ctx context.Context, client C) error
}

// Run runs the suite.
func (s *Suite[C]) Run(t *testing.T) {
	for _, op := range s.Operations {
		for _, status := range []int{op.Success, 302, 400, 401, 403, 404, 429, 500, 503} {
			t.Run(fmt.Sprintf("%s is recorded, even if the vendor answers %d", op.Name, status), func(t *testing.T) {
				t.Parallel()
				s.testRecorded(t, op, status)
			})
		}
		for _, status := range []int{op.Success, 503} {
			t.Run(fmt.Sprintf("%s calls the vendor, even if the list fails (%d)", op.Name, status), func(t *testing.T) {
				t.Parallel()
				s.testListFails(t, op, status)
			})
		}
		t.Run(op.Name+" is recorded, even if the caller gives up", func(t *testing.T) {
			t.Parallel()
			s.testCallerGivesUp(t, op)
		})
		t.Run(op.Name+" without a Revoker records nothing", func(t *testing.T) {
			t.Parallel()
			scene := s.Scene(t, Answering(op.Success), nil)
			scene.WantAccepted(t, s.Token)
			require.NoError(t, op.Call(t.Context(), scene.Client))
			scene.WantAccepted(t, s.Token) // until the end of the cache's TTL, as documented
		})
	}
}

func (s *Suite[C]) testRecorded(t *testing.T, op Operation[C], status int) {
	scene := s.Scene(t, Answering(status))
	scene.WantAccepted(t, s.Token)
	scene.WantAccepted(t, s.Other)
	err := op.Call(t.Context(), scene.Client)
	if status == op.Success {
		require.NoError(t, err)
	} else {
		WantOperationError(t, err, s.Vendor, op.Name, status)
		assert.NotErrorIs(t, err, providers.ErrNotRecorded)
		AssertSilent(t, err, s.Secret)
	}
	assert.Equal(t, int32(1), scene.Revoked.Load())
	scene.WantRefused(t, s.Token)
	scene.WantAccepted(t, s.Other)
}

func (s *Suite[C]) testCallerGivesUp(t *testing.T, op Operation[C]) {
	ctx, cancel := context.WithCancel(t.Context())
	scene := s.Scene(t, func(_ http.ResponseWriter, r *http.Request) { // hangs, and the caller gives up
		_, _ = io.Copy(io.Discard, r.Body) // the server notices the end of a connection only after the body
		cancel()
		<-r.Context().Done()
	})
	scene.WantAccepted(t, s.Token)
	require.ErrorIs(t, op.Call(ctx, scene.Client), context.Canceled)
	assert.Equal(t, int32(1), scene.Revoked.Load())
	scene.WantRefused(t, s.Token)

	before := s.Scene(t, Answering(op.Success)) // the caller has given up before
	before.WantAccepted(t, s.Token)
	err := op.Call(ctx, before.Client)
	WantOperationError(t, err, s.Vendor, op.Name, 0)
	require.ErrorIs(t, err, context.Canceled)
	before.WantRefused(t, s.Token)
}

// failingList returns an error that quotes the revocations.
type failingList struct{ err error }

func (l *failingList) Revoke(_ context.Context, revs ...oauthz.Revocation) error {
	return fmt.Errorf("list: %w: %+v", l.err, revs)
}

func (s *Suite[C]) testListFails(t *testing.T, op Operation[C], status int) {
	list := &failingList{errors.New("down")}
	scene := s.Scene(t, Answering(status), list)
	scene.WantAccepted(t, s.Token)
	err := op.Call(t.Context(), scene.Client)
	require.ErrorIs(t, err, providers.ErrNotRecorded)
	require.ErrorIs(t, err, list.err)
	if status == op.Success {
		WantOperationError(t, err, s.Vendor, op.Name, 0)
		assert.Regexp(t, "^"+s.Vendor+": "+op.Name+": the revocation is not recorded here", err.Error())
		assert.NotErrorIs(t, err, oauthz.ErrUnavailable)
	} else {
		WantOperationError(t, err, s.Vendor, op.Name, status)
	}
	AssertSilent(t, err, s.Secret)
	assert.Equal(t, int32(1), scene.Revoked.Load(), "the token must end at the vendor, although the list fails")
}

// RunRevokerConfig tests Revoker and MaxTokenLifetime in a Config.
func RunRevokerConfig(t *testing.T, vendor string, newClient func(oauthz.Revoker, time.Duration) error) {
	for _, tt := range []struct {
		name     string
		revoker  oauthz.Revoker
		lifetime time.Duration
		want     string
	}{
		{name: "none"},
		{name: "a list", revoker: &Records{}},
		{name: "a list and a lifetime", revoker: &Records{}, lifetime: time.Hour},
		{name: "nil inside", revoker: (*oauthz.MemoryRevocations)(nil), want: "Revoker is a nil pointer or function inside the interface"},
		{name: "negative", revoker: &Records{}, lifetime: -1, want: "MaxTokenLifetime is negative"},
		{name: "a lifetime without a list", lifetime: 1, want: "MaxTokenLifetime without Revoker"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := newClient(tt.revoker, tt.lifetime)
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, vendor+": config: "+tt.want)
		})
	}
}
