package fetch_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/fetch"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name, value string
		want        time.Duration
		ok          bool
	}{
		{"seconds", "30", 30 * time.Second, true},
		{"zero", "0", 0, true},
		{"the most seconds", "2147483647", (1<<31 - 1) * time.Second, true},
		{"more seconds", "2147483648", 0, false},
		{"a date", "Fri, 02 Jan 2026 03:04:45 GMT", 40 * time.Second, true},
		{"a date of RFC 850", "Friday, 02-Jan-26 03:04:45 GMT", 40 * time.Second, true},
		{"a date of asctime", "Fri Jan  2 03:04:45 2026", 40 * time.Second, true},
		{"now", now.Format(http.TimeFormat), 0, true},
		{"the past", "Thu, 01 Jan 2026 03:04:05 GMT", 0, true},
		{"farther than a duration", "Fri, 31 Dec 9999 23:59:59 GMT", 1<<63 - 1, true},
		{"none", "", 0, false},
		{"negative", "-1", 0, false},
		{"a sign", "+1", 0, false},
		{"a fraction", "1.5", 0, false},
		{"nonsense", "soon", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &fetch.Response{Header: http.Header{}}
			if tt.value != "" {
				r.Header.Set("Retry-After", tt.value)
			}
			got, ok := r.RetryAfter(now)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.ok, ok)
		})
	}
}

func TestMediaType(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		value, want string
		json        bool
	}{
		{"", "", true},
		{"application/json", "application/json", true},
		{"application/json; charset=utf-8", "application/json", true},
		{"Application/JSON ; x=y", "application/json", true},
		{"application/json; charset", "?", false},
		{"application/json, text/html", "?", false},
		{"application/problem+json", "application/problem+json", false},
		{"application/jsonp", "application/jsonp", false},
		{"text/html; charset=utf-8", "text/html", false},
		{";", "?", false},
		{"text/html; x=" + strings.Repeat("y", 1011), "text/html", false},
		{"text/html; x=" + strings.Repeat("y", 1012), "?", false},
	} {
		header := http.Header{}
		if tt.value != "" {
			header.Set("Content-Type", tt.value)
		}
		assert.Equal(t, tt.want, fetch.MediaType(header), tt.value)
		assert.Equal(t, tt.json, fetch.IsJSON(header), tt.value)
	}
}

func TestCheckBaseURL(t *testing.T) {
	t.Parallel()
	got, err := fetch.CheckBaseURL("https://api.example/proxy/")
	require.NoError(t, err)
	assert.Equal(t, "https://api.example/proxy/", got.String())
	for bad, want := range map[string]string{
		"https://api.example?canary":          "holds a query",
		"https://api.example?":                "holds a query",
		"https://api.example/#canary":         "holds a fragment",
		"https://canary:canary@api.example?x": "holds credentials",
		"http://api.example":                  "want an https URL (http only for loopback)",
		"api.example":                         "not an absolute URL",
	} {
		got, err := fetch.CheckBaseURL(bad)
		assert.EqualError(t, err, want, bad)
		assert.Nil(t, got, bad)
	}
}
