package oauthz

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oauthz/oauthz/internal/revindex"
	"github.com/oauthz/oauthz/internal/strictjson"
)

// wireRevocation is the JSON form of a Revocation. match is written separately, because
// its values must be read as exactly the values that were written.
type wireRevocation struct {
	Match       json.RawMessage `json:"match"`
	IssuedUntil *time.Time      `json:"issued_until,omitempty"`
	Expires     *time.Time      `json:"expires,omitempty"`
	Reason      string          `json:"reason,omitempty"`
	At          *time.Time      `json:"at,omitempty"`
}

// MarshalJSON writes the revocation as an object with the members match,
// issued_until, expires, reason and at, of which all but match may be missing. Times
// are written as in RFC 3339 §5.6. If rev is not valid, MarshalJSON returns an error:
// see [Revocation.Check].
func (rev Revocation) MarshalJSON() ([]byte, error) {
	e, err := rev.entry()
	if err != nil {
		return nil, fmt.Errorf("oauthz: revocation: %w", err)
	}
	var match strings.Builder
	match.WriteByte('{')
	strictjson.WriteMember(&match, "iss", quoted(e.Issuer))
	for i, v := range e.Values {
		strictjson.WriteMember(&match, e.Names[i], v.JSON())
	}
	match.WriteByte('}')
	return json.Marshal(wireRevocation{
		Match: json.RawMessage(match.String()), Reason: rev.Reason,
		IssuedUntil: optional(rev.IssuedUntil), Expires: optional(rev.Expires), At: optional(rev.At),
	})
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func quoted(s string) string {
	q, _ := json.Marshal(s) // a string always marshals
	return string(q)
}

// UnmarshalJSON reads the JSON that MarshalJSON writes. An unknown member, a repeated
// member and a revocation that is not valid are errors: see [Revocation.Check].
// Numbers in match are of type json.Number. After an error, rev is unchanged.
func (rev *Revocation) UnmarshalJSON(doc []byte) error {
	members, err := strictjson.Object(string(doc))
	if err != nil {
		return fmt.Errorf("oauthz: revocation: %w", err)
	}
	var out Revocation
	for _, m := range members {
		if err := out.setMember(m); err != nil {
			return fmt.Errorf("oauthz: revocation: %w", err)
		}
	}
	if _, err := out.entry(); err != nil {
		return fmt.Errorf("oauthz: revocation: %w", err)
	}
	*rev = out
	return nil
}

func (rev *Revocation) setMember(m strictjson.Member) (err error) {
	switch m.Name {
	case "match":
		rev.Match, err = readMatch(m.Value)
	case "issued_until":
		rev.IssuedUntil, err = readRFC3339(m.Value)
	case "expires":
		rev.Expires, err = readRFC3339(m.Value)
	case "at":
		rev.At, err = readRFC3339(m.Value)
	case "reason":
		rev.Reason, err = strictjson.String(m.Value)
	default:
		return errors.New("unknown member")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", m.Name, err)
	}
	return nil
}

func readMatch(value string) (map[string]any, error) {
	members, err := strictjson.Object(value)
	if err != nil {
		return nil, err
	}
	match := make(map[string]any, len(members))
	for _, m := range members {
		v, ok := revindex.ParseValue(m.Value)
		if !ok {
			return nil, strictjson.ErrType
		}
		match[m.Name] = v.Any()
	}
	return match, nil
}

func readRFC3339(value string) (time.Time, error) {
	s, err := strictjson.String(value)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.IsZero() { // a zero time would mean none; err is not returned, because it quotes s
		return time.Time{}, errors.New("not a time of RFC 3339")
	}
	return t, nil
}
