package providers_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/providers"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// revoker is a function that implements oauthz.Revoker.
type revoker func(ctx context.Context, revs ...oauthz.Revocation) error

func (f revoker) Revoke(ctx context.Context, revs ...oauthz.Revocation) error { return f(ctx, revs...) }

func recorder(r oauthz.Revoker) *providers.Recorder {
	return &providers.Recorder{Vendor: "acme", Issuer: "https://acme.example", Revoker: r, Now: func() time.Time { return noon }}
}

func TestRecorderCheck(t *testing.T) {
	t.Parallel()
	require.NoError(t, recorder(nil).Check())
	require.NoError(t, recorder(&oauthz.MemoryRevocations{}).Check())
	require.Error(t, recorder((*oauthz.MemoryRevocations)(nil)).Check())
	require.Error(t, recorder(revoker(nil)).Check())
}

func TestRecorderRecordsFirst(t *testing.T) {
	t.Parallel()
	var steps []string
	r := recorder(revoker(func(_ context.Context, revs ...oauthz.Revocation) error {
		steps = append(steps, "list")
		assert.Equal(t, []oauthz.Revocation{{
			Match:   map[string]any{"iss": "https://acme.example", oauthz.MatchTokenHash: oauthz.TokenHash("token")},
			Expires: noon.Add(time.Hour), Reason: "acme: revoke", At: noon,
		}}, revs)
		return nil
	}))
	revs := []oauthz.Revocation{r.OfToken("token", time.Hour)}
	require.NoError(t, r.Revoke(t.Context(), "revoke", func(context.Context) error { steps = append(steps, "vendor"); return nil }, revs...))
	assert.Equal(t, []string{"list", "vendor"}, steps)
	assert.Empty(t, revs[0].Reason, "the slice of the caller is not changed")
	assert.Zero(t, r.OfToken("token", 0).Expires, "it never expires")
}

func TestRecorderErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("list: broken")
	upstream := &providers.OperationError{Vendor: "acme", Operation: "revoke", Status: http.StatusServiceUnavailable, Err: oauthz.ErrUnavailable}
	for _, tt := range []struct {
		name           string
		list, upstream error
		want           string // the text; "": no error
		status         int
	}{
		{name: "neither"},
		{name: "list", list: broken, want: "acme: revoke: the revocation is not recorded here: list: broken"},
		{name: "vendor", upstream: upstream, want: upstream.Error(), status: 503},
		{
			name: "both", list: broken, upstream: upstream, status: 503,
			want: upstream.Error() + "; acme: revoke: the revocation is not recorded here: list: broken",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := recorder(revoker(func(context.Context, ...oauthz.Revocation) error { return tt.list }))
			called := 0
			err := r.Revoke(t.Context(), "revoke", func(context.Context) error { called++; return tt.upstream }, r.OfToken("token", 0))
			assert.Equal(t, 1, called, "the vendor is called, even if the list failed")
			if tt.want == "" {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, tt.want)
			var failed *providers.OperationError
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, tt.status, failed.Status, "the error of the vendor comes first")
			assert.Equal(t, tt.list != nil, errors.Is(err, providers.ErrNotRecorded))
			assert.Equal(t, tt.list != nil, errors.Is(err, broken))
			assert.Equal(t, tt.upstream != nil, errors.Is(err, oauthz.ErrUnavailable))
		})
	}
}

// The time that the list needs does not shorten the time of the vendor, and vice versa.
func TestRecorderContexts(t *testing.T) {
	t.Parallel()
	type key struct{}
	for _, tt := range []struct {
		name           string
		before, during bool  // when the caller gives up
		want           error // of the context that the vendor is called with
	}{
		{name: "the caller waits"},
		{name: "the caller gave up before", before: true, want: context.Canceled},
		{name: "the caller gives up while the list is slow", during: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "trace"))
			defer cancel()
			if tt.before {
				cancel()
			}
			r := recorder(revoker(func(ctx context.Context, _ ...oauthz.Revocation) error {
				if tt.during {
					cancel()
				}
				deadline, ok := ctx.Deadline()
				assert.True(t, ok && time.Until(deadline) <= 5*time.Second, "bounded, even if the context of the caller is not")
				assert.Equal(t, "trace", ctx.Value(key{}))
				return ctx.Err()
			}))
			err := r.Revoke(ctx, "revoke", func(ctx context.Context) error {
				assert.Equal(t, "trace", ctx.Value(key{}))
				return ctx.Err()
			}, r.OfToken("token", 0))
			assert.Equal(t, tt.want, err)
		})
	}
}

// A caller that gives up while the vendor is called ends that call.
func TestRecorderCancelsTheCallOfTheVendor(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := recorder(&oauthz.MemoryRevocations{})
	err := r.Revoke(ctx, "revoke", func(ctx context.Context) error {
		cancel()
		return ctx.Err()
	}, r.OfToken("token", 0))
	assert.Equal(t, context.Canceled, err)
}

func TestRecorderWithoutAList(t *testing.T) {
	t.Parallel()
	var got context.Context
	r := recorder(nil)
	require.NoError(t, r.Revoke(t.Context(), "revoke", func(ctx context.Context) error { got = ctx; return nil }, r.OfToken("token", 0)))
	assert.Equal(t, t.Context(), got)
	never := recorder(revoker(func(context.Context, ...oauthz.Revocation) error { return errors.New("called") }))
	require.NoError(t, never.Revoke(t.Context(), "revoke", func(context.Context) error { return nil }), "there is nothing to record")
}
