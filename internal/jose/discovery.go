package jose

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/strictjson"
)

// Discover returns the URL that the metadata of issuer has in member, such as
// jwks_uri. It looks for the metadata first by RFC 8414 §3.1, then by OpenID
// Connect Discovery §4. The metadata must name exactly this issuer (RFC 8414
// §3.3), and the URL must pass [fetch.CheckURL]. Metadata of an https issuer may
// name only https URLs. An error names the URL of the metadata, which comes from
// the configuration, and never the URL in the metadata.
func Discover(ctx context.Context, client *fetch.Client, issuer, member string) (string, error) {
	locations, err := WellKnown(issuer)
	if err != nil {
		return "", err
	}
	var failed error
	for i, location := range locations {
		// A location that hangs must leave time for the next one, and for the fetch
		// that follows.
		share, cancel := withShare(ctx, len(locations)-i+1)
		found, err := discoverAt(share, client, location, issuer, member)
		cancel()
		if err == nil {
			return found, nil
		}
		err = fmt.Errorf("%s: %w", location, err)
		if failed == nil {
			failed = err
		} else {
			failed = fmt.Errorf("%w; %w", failed, err)
		}
	}
	return "", failed
}

// withShare returns a context with one nth of the time that ctx has left.
func withShare(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
}

// WellKnown returns the URLs where the metadata of issuer may be.
func WellKnown(issuer string) ([]string, error) {
	u, err := fetch.CheckURL(issuer)
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, errors.New("holds a query (RFC 8414 §2)")
	}
	origin := (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	return []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + path + "/.well-known/openid-configuration",
	}, nil
}

func discoverAt(ctx context.Context, client *fetch.Client, location, issuer, member string) (string, error) {
	answer, err := client.Get(ctx, location, http.Header{"Accept": {"application/json"}})
	if err != nil {
		return "", err
	}
	if answer.Status != http.StatusOK {
		return "", fmt.Errorf("status %d", answer.Status)
	}
	members, err := strictjson.Object(string(answer.Body))
	if err != nil {
		return "", errors.New("the metadata is not a JSON object")
	}
	if owner, err := stringMember(members, "issuer"); err != nil || owner != issuer {
		return "", errors.New("the metadata does not name this issuer")
	}
	found, err := stringMember(members, member)
	if err != nil {
		return "", fmt.Errorf("the metadata has no %s", member)
	}
	foundURL, err := fetch.CheckURL(found)
	if err != nil {
		return "", fmt.Errorf("the metadata has a bad %s: %w", member, err)
	}
	// The authenticated document must not lead to an unauthenticated server: keys
	// would come from there, and secrets and tokens would be sent there.
	if strings.HasPrefix(location, "https:") && foundURL.Scheme != "https" {
		return "", fmt.Errorf("the metadata has a bad %s: not https, although the metadata is", member)
	}
	return found, nil
}

func stringMember(members []strictjson.Member, name string) (string, error) {
	value, _ := strictjson.Lookup(members, name)
	return strictjson.String(value)
}
