package endpoint_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/endpoint"
)

// lines returns the messages of a joined error.
func lines(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func TestIntrospectionConfigMistakesAreReported(t *testing.T) {
	t.Parallel()
	var nilFunc oauthz.IntrospectorFunc
	var nilList *oauthz.MemoryRevocations
	var nilAuth endpoint.ClientAuthenticatorFunc
	_, err := endpoint.Introspection(endpoint.IntrospectionConfig{})
	assert.Equal(t, []string{
		"endpoint: introspection: config: Introspector is required", "endpoint: introspection: config: Auth is required",
	}, lines(err))
	_, err = endpoint.Introspection(endpoint.IntrospectionConfig{
		Introspector: nilFunc, RevocationLists: []oauthz.RevocationList{&oauthz.MemoryRevocations{}, nil, nilList}, Auth: nilAuth, Signing: &endpoint.Signing{},
	})
	assert.Equal(t, []string{
		"endpoint: introspection: config: Introspector is required",
		"endpoint: introspection: config: RevocationLists[1] is nil",
		"endpoint: introspection: config: RevocationLists[2] is nil",
		"endpoint: introspection: config: Auth is required",
		"endpoint: introspection: config: Signing.Issuer: want an https URL without a query (http only on loopback)",
		"endpoint: introspection: config: Signing.Key: the key is missing, or does not sign with Algorithm",
	}, lines(err))
}

func TestRevocationConfigMistakesAreReported(t *testing.T) {
	t.Parallel()
	var nilFunc oauthz.IntrospectorFunc
	var nilList *oauthz.MemoryRevocations
	_, err := endpoint.Revocation(endpoint.RevocationConfig{})
	assert.Equal(t, []string{
		"endpoint: revocation: config: Introspector is required", "endpoint: revocation: config: Revoker is required",
		"endpoint: revocation: config: Auth is required",
	}, lines(err))
	_, err = endpoint.Revocation(endpoint.RevocationConfig{Introspector: nilFunc, Revoker: nilList, Auth: clients()})
	assert.Equal(t, []string{
		"endpoint: revocation: config: Introspector is required", "endpoint: revocation: config: Revoker is required",
	}, lines(err))
}

func TestAuthConfigMistakesAreReported(t *testing.T) {
	t.Parallel()
	guard, err := oauthz.New(oauthz.Config{Introspector: claims(t, `{}`)})
	require.NoError(t, err)
	const anyToken = "the Requirement is met by any valid token: require a scope or a claim"
	const noToken = "the Requirement lets callers without a token through"
	for _, tt := range []struct {
		name string
		auth endpoint.ClientAuthenticator
		want string
	}{
		{"no check of secrets", endpoint.ClientSecret(nil), "the check of ClientSecret is nil"},
		{"no guard", endpoint.AccessToken(nil, oauthz.Require("x")), "the Guard is nil"},
		{"public", endpoint.AccessToken(guard, oauthz.Public()), noToken},
		{"anonymous", endpoint.AccessToken(guard, oauthz.Require("x").OrAnonymous()), noToken},
		{"anonymous as an alternative", endpoint.AccessToken(guard, oauthz.Any(oauthz.Require("x"), oauthz.Public())), noToken},
		{"zero requirement", endpoint.AccessToken(guard, oauthz.Requirement{}), anyToken},
		{"any valid token", endpoint.AccessToken(guard, oauthz.Any(oauthz.Require("x"), oauthz.Require())), anyToken},
		{"scope", endpoint.AccessToken(guard, oauthz.Require("x")), ""},
		{"claim", endpoint.AccessToken(guard, oauthz.RequireClaim("x", "y")), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := endpoint.Introspection(endpoint.IntrospectionConfig{Introspector: claims(t, `{}`), Auth: tt.auth})
			if tt.want == "" {
				assert.NoError(t, err)
				return
			}
			assert.EqualError(t, err, "endpoint: introspection: config: Auth: "+tt.want)
		})
	}
}

func TestAdminConfigMistakesAreReported(t *testing.T) {
	t.Parallel()
	var nilList *oauthz.MemoryRevocations
	good := endpoint.AdminConfig{Guard: administrators(t), Requirement: oauthz.Require("x"), Revoker: &recorder{}, Lister: &lister{}}
	for _, tt := range []struct {
		name   string
		change func(*endpoint.AdminConfig)
		want   []string
	}{
		{"good", func(*endpoint.AdminConfig) {}, nil},
		{"zero", func(c *endpoint.AdminConfig) { *c = endpoint.AdminConfig{} }, []string{"the Guard is nil", "Revoker is required", "Lister is required"}},
		{"nil inside", func(c *endpoint.AdminConfig) { c.Revoker, c.Lister = nilList, nilList }, []string{"Revoker is required", "Lister is required"}},
		{"public", func(c *endpoint.AdminConfig) { c.Requirement = oauthz.Public() }, []string{"the Requirement lets callers without a token through"}},
		{"anonymous", func(c *endpoint.AdminConfig) { c.Requirement = c.Requirement.OrAnonymous() }, []string{"the Requirement lets callers without a token through"}},
		{"any valid token", func(c *endpoint.AdminConfig) { c.Requirement = oauthz.All() }, []string{"the Requirement is met by any valid token: require a scope or a claim"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			tt.change(&cfg)
			_, err := endpoint.Admin(cfg)
			for i := range tt.want {
				tt.want[i] = "endpoint: admin: config: " + tt.want[i]
			}
			assert.Equal(t, tt.want, lines(err))
			assert.Equal(t, "endpoint.AdminConfig", fmt.Sprintf("%+v", cfg))
		})
	}
}

// The endpoint copies its configuration: the caller may change the slice and the struct afterwards.
func TestConfigIsCopied(t *testing.T) {
	t.Parallel()
	lists := []oauthz.RevocationList{fixedList{}}
	cfg := endpoint.IntrospectionConfig{Introspector: knownTokens(), RevocationLists: lists, Signing: signedConfig(edKey(t)).Signing}
	h := introspectionHandler(t, cfg)
	lists[0] = nil
	*cfg.Signing = endpoint.Signing{}
	assert.Equal(t, "Content-Type: "+signedType, serve(t, h, signedRequest("active", signedType)).header)
}

// Without a Report hook, faults are logged, and mistakes of clients are not.
func TestFaultsAreLogged(t *testing.T) { // not parallel: the logger is the process's

	var logged bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	defer slog.SetDefault(before)
	h, err := endpoint.Introspection(endpoint.IntrospectionConfig{Introspector: knownTokens(), Auth: clients()})
	require.NoError(t, err)
	serve(t, h, postRaw(""))
	serve(t, h, signedRequest("", ""))
	guarded, err := endpoint.Introspection(endpoint.IntrospectionConfig{
		Introspector: knownTokens(), Auth: endpoint.AccessToken(administrators(t), oauthz.Require("x")),
	})
	require.NoError(t, err)
	serve(t, guarded, postRaw("token=active"))
	assert.Empty(t, logged.String())
	serve(t, h, signedRequest("fault", ""))
	assert.Contains(t, logged.String(), `level=WARN msg="oauthz: an endpoint failed" error="endpoint: status 503:`)
}

// Report is called once for each request that fails, and its panic is a server error.
func TestReportReceivesFailures(t *testing.T) {
	t.Parallel()
	reported := &reports{}
	h := introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: knownTokens(), Report: reported.add})
	serve(t, h, signedRequest("active", ""))
	serve(t, h, signedRequest("unknown", ""))
	assert.Empty(t, reported.errs)
	serve(t, h, postRaw("token=active"))
	require.Len(t, reported.errs, 1)
	assert.ErrorIs(t, reported.errs[0], endpoint.ErrInvalidClient)
	serve(t, h, signedRequest("panic", ""))
	require.Len(t, reported.errs, 2)
	assert.Regexp(t, `^endpoint: status 500: panic: string at .*endpoint_test\.\S*known\S*:\d+$`, reported.errs[1].Error())

	h = introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: answers(nil, (*oauthz.Error)(nil)), Report: reported.add})
	serve(t, h, postToken())
	require.Len(t, reported.errs, 3)
	assert.EqualError(t, reported.errs[2], "endpoint: status 500: the introspector returned a nil *Error")

	h = introspectionHandler(t, endpoint.IntrospectionConfig{Introspector: knownTokens(), Report: func(context.Context, error) { panic("canary") }})
	assert.Equal(t, serverError, serve(t, h, signedRequest("fault", "")))
}

// Package fmt does not print a secret that a configuration holds.
func TestConfigsDoNotPrintSecrets(t *testing.T) {
	t.Parallel()
	signing := endpoint.Signing{Key: edKey(t), KeyID: canary}
	introspection := endpoint.IntrospectionConfig{Introspector: secretHolder{canary}, Signing: &signing}
	revocation := endpoint.RevocationConfig{Introspector: secretHolder{canary}}
	h, err := endpoint.Revocation(endpoint.RevocationConfig{Introspector: secretHolder{canary}, Revoker: &recorder{}, Auth: clients()})
	require.NoError(t, err)
	for _, v := range []any{signing, &signing, introspection, &introspection, revocation, &revocation, h, []any{introspection, h}} {
		printed := fmt.Sprintf("%v %+v %#v %s %d %x", v, v, v, v, v, v)
		assert.NotContains(t, printed, canary)
		assert.NotContains(t, printed, fmt.Sprintf("%x", canary))
		assert.NotContains(t, printed, fmt.Sprintf("%d", signing.Key)[1:20])
	}
}

// secretHolder is an introspector that holds a secret.
type secretHolder struct{ secret string }

func (secretHolder) Introspect(context.Context, string) (*oauthz.Token, error) { return nil, nil }
