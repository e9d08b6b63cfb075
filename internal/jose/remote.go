package jose

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/oauthz/oauthz/internal/fetch"
)

// locationMaxAge is how long a key set is fetched from the URL that locate
// returned. The set may move while its old URL still answers.
const locationMaxAge = 15 * time.Minute

// Remote returns a SetConfig.Fetch that fetches a JWK Set over HTTP from the URL
// that locate returns. A fetch that fails forgets the URL and the validator, so
// that a set that has moved is found, and a server that fails on a validator gets
// the next request without one. Only one goroutine at a time may call the
// function.
func Remote(client *fetch.Client, locate func(ctx context.Context) (string, error)) func(ctx context.Context, want Want) (Document, error) {
	var (
		location  string
		locatedAt time.Time
		moves     int // counts the locations: an ETag is valid only at its own location
	)
	return func(ctx context.Context, want Want) (doc Document, err error) {
		if location == "" || time.Since(locatedAt) > locationMaxAge {
			before := location
			if location, err = locate(ctx); err != nil {
				return Document{}, err
			}
			if locatedAt = time.Now(); location != before {
				moves++
			}
		}
		etag, sameLocation := strings.CutPrefix(want.Validator, strconv.Itoa(moves)+" ")
		if want.Validator = ""; sameLocation {
			want.Validator = etag
		}
		if doc, err = getSet(ctx, client, location, want); err != nil {
			location = ""
			return Document{}, fmt.Errorf("key set: %w", err)
		}
		if doc.Validator != "" {
			doc.Validator = strconv.Itoa(moves) + " " + doc.Validator
		}
		return doc, nil
	}
}

// getSet fetches the set at location. The Document has no Body if the server
// answers that the set has not changed. The Validator of want and of the Document
// is an ETag.
func getSet(ctx context.Context, client *fetch.Client, location string, want Want) (Document, error) {
	header := http.Header{"Accept": {"application/jwk-set+json, application/json"}}
	if want.Validator != "" {
		header.Set("If-None-Match", want.Validator)
	}
	if want.NoCache { // RFC 9111 §5.2.1.4
		header.Set("Cache-Control", "no-cache")
	}
	answer, err := client.Get(ctx, location, header)
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
		return Document{}, fmt.Errorf("status %d", answer.Status)
	}
}

// age returns the greatest age of a copy of the set in a cache. An Age field (RFC
// 9111 §5.1) means that a cache has answered without the server. Counted from the
// start of the fetch, the copy is at most these whole seconds, and the rest of one
// second, old (§4.2.3). Without an Age that can be read, age returns zero.
func age(h http.Header) time.Duration {
	seconds, err := strconv.ParseUint(h.Get("Age"), 10, 31)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(seconds+1) * time.Second
}

// maxAge returns the lifetime of an answer by its Cache-Control (RFC 9111 §5.2.2),
// at most maxMaxAge. It returns -1 if Cache-Control does not state a lifetime, and
// zero for no-store, for no-cache, and for a max-age that cannot be read.
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
