package oauthz

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// wireRevocation is the JSON form of a Revocation but for match, whose values
// must come back as exactly what they were.
type wireRevocation struct {
	Match       json.RawMessage `json:"match"`
	IssuedUntil *time.Time      `json:"issued_until,omitempty"`
	Expires     *time.Time      `json:"expires,omitempty"`
	Reason      string          `json:"reason,omitempty"`
	At          *time.Time      `json:"at,omitempty"`
}

// MarshalJSON writes the revocation as an object with the members match,
// issued_until, expires, reason and at, of which all but match may be missing.
// Times are those of RFC 3339. A revocation that no list would take is an error.
func (rev Revocation) MarshalJSON() ([]byte, error) {
	m, err := rev.matcher()
	if err != nil {
		return nil, fmt.Errorf("oauthz: revocation: %w", err)
	}
	var match strings.Builder
	match.WriteByte('{')
	writeMember(&match, "iss", quoted(m.issuer))
	for i, v := range m.values {
		writeMember(&match, m.names[i], v.json())
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

func (v matchValue) json() string {
	if v.kind == kindString {
		return quoted(v.text)
	}
	return v.text
}

func quoted(s string) string {
	q, _ := json.Marshal(s) // a string always marshals
	return string(q)
}

// UnmarshalJSON reads what MarshalJSON writes, and nothing else: no member that
// is not known, none twice, and no revocation that no list would take. Numbers
// in match are json.Number. After an error rev is as it was.
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
	if _, err := out.matcher(); err != nil {
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
		return errors.New("a member that is not known")
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
		v, ok := claimValue(m.Value)
		if !ok {
			return nil, strictjson.ErrType
		}
		match[m.Name] = v.any()
	}
	return match, nil
}

func readRFC3339(value string) (time.Time, error) {
	s, err := strictjson.String(value)
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.IsZero() { // which would mean that there is none; err quotes s
		return time.Time{}, errors.New("want a time of RFC 3339")
	}
	return t, nil
}
