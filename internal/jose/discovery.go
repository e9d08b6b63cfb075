package jose

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/oauthz/oauthz/internal/fetch"
	"github.com/oauthz/oauthz/internal/strictjson"
)

// Discover returns the URL that the metadata of issuer calls member, such as
// jwks_uri: first by RFC 8414 §3.1, then by OpenID Connect Discovery §4. The
// metadata must name exactly this issuer (RFC 8414 §3.3), and the URL must pass
// [fetch.CheckURL]. Metadata of an https issuer may name https URLs alone.
func Discover(ctx context.Context, client *fetch.Client, issuer, member string) (string, error) {
	places, err := WellKnown(issuer)
	if err != nil {
		return "", err
	}
	var errs []error
	for i, place := range places {
		// One place that hangs must leave time for the next, and for what follows.
		share, cancel := shareOf(ctx, len(places)-i+1)
		found, err := discoverAt(share, client, place, issuer, member)
		cancel()
		if err == nil {
			return found, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("jose: discovery: %w", errors.Join(errs...))
}

// shareOf returns a context with one nth of the time that ctx has left.
func shareOf(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
}

// WellKnown returns where the metadata of issuer may be.
func WellKnown(issuer string) ([]string, error) {
	u, err := fetch.CheckURL(issuer)
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, errors.New("jose: issuer holds a query (RFC 8414 §2)")
	}
	origin := (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	return []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + path + "/.well-known/openid-configuration",
	}, nil
}

func discoverAt(ctx context.Context, client *fetch.Client, place, issuer, member string) (string, error) {
	answer, err := client.Get(ctx, place, http.Header{"Accept": {"application/json"}})
	if err != nil {
		return "", err
	}
	if answer.Status != http.StatusOK {
		return "", fmt.Errorf("metadata: status %d", answer.Status)
	}
	members, err := strictjson.Object(string(answer.Body))
	if err != nil {
		return "", errors.New("metadata: not a JSON object")
	}
	if owner, err := stringMember(members, "issuer"); err != nil || owner != issuer {
		return "", errors.New("metadata: is of another issuer")
	}
	found, err := stringMember(members, member)
	if err != nil {
		return "", fmt.Errorf("metadata: no %s", member)
	}
	named, err := fetch.CheckURL(found)
	if err != nil {
		return "", fmt.Errorf("metadata: %s: %w", member, err)
	}
	// The authenticated document must not lead to a server that authenticates
	// nothing: keys would come from there, and secrets and tokens would go there.
	if strings.HasPrefix(place, "https:") && named.Scheme != "https" {
		return "", fmt.Errorf("metadata: %s: not https, and the metadata is", member)
	}
	return found, nil
}

func stringMember(members []strictjson.Member, name string) (string, error) {
	value, _ := strictjson.Lookup(members, name)
	return strictjson.String(value)
}

// placeMaxAge is how long a key set is fetched from where it was found: it may
// move while the old place still answers.
const placeMaxAge = 15 * time.Minute

// Remote fetches a JWK Set over HTTP: SetConfig.Fetch for a URL that locate
// returns. A fetch that fails forgets the URL and the validator, so that a set
// that moved is found, and a server that stumbles over a validator is asked
// without one. It is called by one goroutine at a time.
func Remote(client *fetch.Client, locate func(ctx context.Context) (string, error)) func(ctx context.Context, want Want) (Document, error) {
	var (
		place string
		found time.Time
		visit int // counts the places: an ETag means something at its own only
	)
	return func(ctx context.Context, want Want) (doc Document, err error) {
		if place == "" || time.Since(found) > placeMaxAge {
			before := place
			if place, err = locate(ctx); err != nil {
				return Document{}, err
			}
			if found = time.Now(); place != before {
				visit++
			}
		}
		etag, own := strings.CutPrefix(want.Validator, strconv.Itoa(visit)+" ")
		if want.Validator = ""; own {
			want.Validator = etag
		}
		if doc, err = getSet(ctx, client, place, want); err != nil {
			place = ""
			return Document{}, err
		}
		if doc.Validator != "" {
			doc.Validator = strconv.Itoa(visit) + " " + doc.Validator
		}
		return doc, nil
	}
}

// getSet fetches the set, or learns that the one at hand has not changed. The
// Validator that it takes and returns is an ETag.
func getSet(ctx context.Context, client *fetch.Client, place string, want Want) (Document, error) {
	header := http.Header{"Accept": {"application/jwk-set+json, application/json"}}
	if want.Validator != "" {
		header.Set("If-None-Match", want.Validator)
	}
	if want.NoCache { // RFC 9111 §5.2.1.4
		header.Set("Cache-Control", "no-cache")
	}
	answer, err := client.Get(ctx, place, header)
	if err != nil {
		return Document{}, err
	}
	doc := Document{Validator: answer.Header.Get("ETag"), MaxAge: maxAge(answer.Header), Age: age(answer.Header)}
	switch {
	case answer.Status == http.StatusOK:
		doc.Body = answer.Body // not nil, even if it is empty
		return doc, nil
	case answer.Status == http.StatusNotModified && want.Validator != "":
		return doc, nil
	default:
		return Document{}, fmt.Errorf("jose: key set: status %d", answer.Status)
	}
}

// age reads Age (RFC 9111 §5.1), whose presence means that a cache has answered
// without the server. Counted from when the fetch began, the copy is not older
// (§4.2.3) than these whole seconds and the rest of one. Without an Age that can
// be read, age returns zero.
func age(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get("Age"), 10, 31)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(seconds+1) * time.Second
}

// maxAge reads Cache-Control (RFC 9111 §5.2.2), -1 if it does not say. What
// cannot be read counts as zero, and so do no-store and no-cache.
func maxAge(h http.Header) time.Duration {
	age := time.Duration(-1)
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil && !errors.Is(err, strconv.ErrRange) {
				seconds = 0
			}
			age = time.Duration(min(seconds, uint64(maxMaxAge/time.Second))) * time.Second
		}
	}
	return age
}
