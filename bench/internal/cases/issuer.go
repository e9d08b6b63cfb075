package cases

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/oauthz/oauthz/bench/internal/figures"
	"github.com/oauthz/oauthz/bench/internal/peers"
	"github.com/oauthz/oauthz/oauthztest"
)

const (
	audience = "https://api.example"
	scope    = "orders:read"
	// upstream is the duration of an introspection request at the authorization server, as for one in the same building.
	upstream = time.Millisecond
)

// Tokens are one that is good, and the same with one thing wrong with it.
type Tokens struct {
	Good, Forged, Expired, OtherIssuer, OtherAudience, NoScope string
	// Flawed are those that not all peers refuse, by the name of the flaw in package peers. JWTs only.
	Flawed map[string]string
}

// An issuer is a fake authorization server as the peers see it, and tokens of it.
type issuer struct {
	peers.Issuer
	tokens Tokens
	asked  func() int
}

// claims are those of an access token as servers make them. A run must not outlast the token.
func claims(more oauthztest.Claims) oauthztest.Claims {
	all := oauthztest.Claims{
		"sub": subject, "scope": "orders:read orders:write profile", "exp": time.Now().Add(24 * time.Hour),
		"email": "alice@customer.example", "roles": []string{"clerk", "auditor"},
	}
	maps.Copy(all, more)
	return all
}

// variants mints what is in Tokens, all but Forged.
func variants(mint func(oauthztest.Claims) string) Tokens {
	return Tokens{
		Good:          mint(claims(nil)),
		Expired:       mint(claims(oauthztest.Claims{"exp": time.Now().Add(-time.Hour), "iat": time.Now().Add(-2 * time.Hour)})),
		OtherIssuer:   mint(claims(oauthztest.Claims{"iss": "https://login.example"})),
		OtherAudience: mint(claims(oauthztest.Claims{"aud": "https://other.example"})),
		NoScope:       mint(claims(oauthztest.Claims{"scope": "orders:write profile"})),
	}
}

func flawed(as *oauthztest.Server) map[string]string {
	good := claims(nil)
	twice := fmt.Sprintf(
		`{"iss":%q,"aud":%q,"exp":%d,"scope":%q,"sub":"user-2","sub":%q}`,
		as.Issuer(), audience, time.Now().Add(time.Hour).Unix(), scope, subject,
	)
	return map[string]string{
		peers.Type:      as.Mint(good, oauthztest.WithHeader("typ", "secevent+jwt")),
		peers.Critical:  as.Mint(good, oauthztest.WithHeader("crit", []string{"x"}), oauthztest.WithHeader("x", 1)),
		peers.Duplicate: as.Mint(nil, oauthztest.WithRawClaims([]byte(twice))),
		peers.Case:      as.Mint(claims(oauthztest.Claims{"scope": oauthztest.Absent, "SCOPE": scope})),
		peers.Expiry:    as.Mint(claims(oauthztest.Claims{"exp": oauthztest.Absent})),
	}
}

func (s *Suite) start(cfg oauthztest.Config) (*oauthztest.Server, peers.Issuer) {
	as := oauthztest.NewServer(cfg)
	s.close = append(s.close, as.Close)
	return as, peers.Issuer{
		URL: as.Issuer(), Algorithm: cfg.Algorithm, JWKSURL: as.JWKSURL(), JWKS: as.JWKS(), IntrospectionURL: as.IntrospectionURL(),
		ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret, Audience: audience, Scope: scope, KeyRefresh: time.Hour,
	}
}

// signing starts a server that signs with alg.
func (s *Suite) signing(alg string) *issuer {
	as, is := s.start(oauthztest.Config{Algorithm: alg})
	published := as.Keys()[0]
	iss := &issuer{Issuer: is, tokens: variants(func(c oauthztest.Claims) string { return as.Mint(c) })}
	iss.tokens.Flawed = flawed(as)
	// The same algorithm and the same kid, but a key that no server has published.
	other := as.RotateUnpublished()
	// Older than the keys will be: a younger one could be of a server that has reused the name of its key.
	iss.tokens.Forged = as.Mint(claims(oauthztest.Claims{"iat": time.Now().Add(-time.Hour)}), oauthztest.WithKey(other), oauthztest.WithHeader("kid", published))
	return iss
}

// introspecting starts a server whose answers take as long as upstream.
func (s *Suite) introspecting() *issuer {
	as, is := s.start(oauthztest.Config{ClientID: "orders-api", ClientSecret: "a secret of the benchmark"})
	as.Inject(oauthztest.EndpointIntrospection, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		timer := time.NewTimer(upstream)
		defer timer.Stop()
		select {
		case <-timer.C:
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
	// All keep as many connections as there are goroutines: with the default of two they would have to dial.
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	is.HTTPClient = &http.Client{Transport: transport}
	s.close = append(s.close, transport.CloseIdleConnections)
	iss := &issuer{Issuer: is, tokens: variants(as.MintOpaque), asked: func() int { return as.Count(oauthztest.EndpointIntrospection) }}
	iss.tokens.Forged = "a-token-that-this-server-never-made"
	return iss
}

func (s *Suite) addJWT(ctx context.Context) error {
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		iss := s.signing(alg)
		if err := s.addBare(iss); err != nil {
			return err
		}
		if err := s.addPeers(ctx, figures.NewToken, peers.JWT(), iss); err != nil {
			return err
		}
		if err := s.addPeers(ctx, figures.SeenToken, peers.Seen(), iss); err != nil {
			return err
		}
	}
	return nil
}

func (s *Suite) addOpaque(ctx context.Context) error {
	iss := s.introspecting()
	if err := s.addPeers(ctx, figures.NewOpaque, peers.NewOpaque(), iss); err != nil {
		return err
	}
	return s.addPeers(ctx, figures.SeenOpaque, peers.SeenOpaque(), iss)
}
