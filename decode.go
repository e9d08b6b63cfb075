package oauthz

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/oauthz/oauthz/internal/strictjson"
)

// Decode decodes all claims into v, as [json.Unmarshal] does, with one difference: a
// member sets a field only if it has exactly the field's name, at every depth.
// encoding/json also accepts a name that differs in case, or by a Unicode fold, so
// that {"role":"user","ROLE":"admin"} sets the role to admin. The names of claims are
// case-sensitive (RFC 7519 §10.1.1).
//
// Standard claims are made from the fields of the Token, as in [Token.Claim]. A type
// with its own UnmarshalJSON receives its part of the claims as it was parsed. Errors
// name the field and the type, and never hold a claim.
func (t *Token) Decode(v any) error {
	err := json.Unmarshal([]byte(strictjson.Exact(t.json(), v)), v)
	if err == nil {
		return nil
	}
	// The errors of encoding/json and of unmarshalers may quote a claim.
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) && mismatch.Field != "" {
		return fmt.Errorf("oauthz: decode: claim for field %s does not fit %s", mismatch.Field, mismatch.Type)
	}
	return fmt.Errorf("oauthz: decode: claims do not fit %s", strings.TrimLeft(fmt.Sprintf("%T", v), "*"))
}

// ClaimsAs decodes all claims into a T: see [Token.Decode].
func ClaimsAs[T any](t *Token) (T, error) {
	var v T
	err := t.Decode(&v)
	return v, err
}

// json returns one object of all claims: the standard claims from the fields, the
// others as they were parsed.
func (t *Token) json() string {
	var b strings.Builder
	b.WriteByte('{')
	for _, name := range standardClaims {
		if value, _ := t.standardClaim(name); value != "" {
			strictjson.WriteMember(&b, name, value)
		}
	}
	for _, m := range t.claims {
		if _, standard := t.standardClaim(m.Name); !standard {
			strictjson.WriteMember(&b, m.Name, m.Value)
		}
	}
	b.WriteByte('}')
	return b.String()
}
