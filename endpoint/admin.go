package endpoint

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/internal/strictjson"
)

// Lister lists revocations, the oldest first. [oauthz.MemoryRevocations] implements it.
// It must be safe for concurrent use. An error is a fault: 503.
type Lister interface {
	All(q oauthz.Query) (iter.Seq[oauthz.Revocation], error)
}

// AdminConfig configures [Admin]. Guard, Requirement, Revoker and Lister are
// required.
type AdminConfig struct {
	_ struct{}

	// Guard validates the token of the caller, and writes the refusals. Required.
	Guard *oauthz.Guard
	// Requirement is required of the token of the caller. A caller that meets it
	// may revoke every token. A Requirement that every valid token meets is
	// therefore a mistake. Required.
	Requirement oauthz.Requirement
	// Revoker records the revocations. Required.
	Revoker oauthz.Revoker
	// Lister lists the revocations. Required.
	Lister Lister
	// Report is the same as in [IntrospectionConfig].
	Report func(context.Context, error)
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Format writes the name of the type. Without it, package fmt would print the
// secrets that the hooks hold.
func (AdminConfig) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "endpoint.AdminConfig")
}

func (cfg *AdminConfig) check() error {
	m := mistakes{in: "admin"}
	if err := checkProtection(cfg.Guard, cfg.Requirement); err != nil {
		m.add("%w", err)
	}
	m.require("Revoker", cfg.Revoker)
	m.require("Lister", cfg.Lister)
	return m.join()
}

// Admin returns a handler for administrators, or an error that joins every mistake
// in cfg.
//
// GET answers {"revocations":[…],"more":false}: the oldest revocations first, and
// whether there are more. The query parameters are:
//
//   - limit: the most revocations to return, from 1 to 1000. Default 100.
//   - match: a JSON object of claims that a revocation must name, for example
//     {"iss":"https://as.example","sub":"alice"}. 7 is not equal to "7".
//   - expires_from, expires_to, issued_from, issued_to, revoked_from, revoked_to:
//     times of RFC 3339. From is inclusive, to is exclusive. See [oauthz.Query].
//
// An unknown parameter is an error. It was meant to narrow the list, and without it
// the answer would show all revocations.
//
// POST records a JSON array of revocations ([oauthz.Revocation.MarshalJSON]), up to
// 10,000 of them in 1 MiB. It records all of them and answers 204, or it records
// none. A revocation without the member at gets the current time. The content type
// must be application/json, which an HTML form on another site cannot send.
func Admin(cfg AdminConfig) (http.Handler, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	cfg.Now = clock(cfg.Now)
	a := &adminHandler{cfg}
	h := &handler{
		methods: []string{http.MethodGet, http.MethodHead, http.MethodPost}, decide: a.decide, report: reportOrLog(cfg.Report),
	}
	return http.HandlerFunc(h.serve), nil
}

type adminHandler struct{ cfg AdminConfig }

func (a *adminHandler) decide(w http.ResponseWriter, r *http.Request) (reply, error) {
	authorized, err := a.cfg.Guard.Authorize(r, a.cfg.Requirement)
	if err != nil {
		return reply{}, &guardRefusal{a.cfg.Guard, err}
	}
	if r.Method == http.MethodPost {
		return a.revoke(w, authorized)
	}
	return a.list(authorized)
}

func (a *adminHandler) list(r *http.Request) (reply, error) {
	q, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		return reply{}, err
	}
	limit := q.Limit
	q.Limit++ // one more, to learn whether there are more
	all, err := a.cfg.Lister.All(q)
	if err != nil {
		return reply{}, unavailable(err)
	}
	var out struct {
		Revocations []oauthz.Revocation `json:"revocations"`
		More        bool                `json:"more"`
	}
	out.Revocations = []oauthz.Revocation{} // an empty array, not null
	for rev := range all {
		if len(out.Revocations) == limit {
			out.More = true
			break
		}
		out.Revocations = append(out.Revocations, rev)
	}
	return jsonReply(out)
}

func (a *adminHandler) revoke(w http.ResponseWriter, r *http.Request) (reply, error) {
	revs, err := readRevocations(w, r)
	if err != nil {
		return reply{}, err
	}
	now := a.cfg.Now()
	for i := range revs {
		if revs[i].At.IsZero() {
			revs[i].At = now
		}
	}
	if err := a.cfg.Revoker.Revoke(r.Context(), revs...); err != nil {
		return reply{}, unavailable(err)
	}
	return reply{status: http.StatusNoContent}, nil
}

// Bounds of a POST. Some logs refuse more entries at once. Their error would become
// 503, and the client would repeat the request without end.
const (
	maxRevocations     = 10_000
	maxRevocationBytes = 1 << 20
)

// readRevocations validates every revocation before any is recorded.
func readRevocations(w http.ResponseWriter, r *http.Request) ([]oauthz.Revocation, error) {
	if !hasMediaType(r, mediaJSON) {
		f := badRequest("The body must be application/json")
		f.status = http.StatusUnsupportedMediaType
		return nil, f
	}
	body, err := readBody(w, r, maxRevocationBytes)
	if err != nil {
		return nil, err
	}
	elements, err := splitArray(string(body))
	if err != nil {
		return nil, badRequest("The body is not a JSON array")
	}
	if len(elements) == 0 {
		return nil, badRequest("There is nothing to revoke")
	}
	if len(elements) > maxRevocations {
		f := badRequest("The array is too long")
		f.status = http.StatusRequestEntityTooLarge
		return nil, f
	}
	revs := make([]oauthz.Revocation, len(elements))
	for i, e := range elements {
		if err := revs[i].UnmarshalJSON([]byte(e)); err != nil {
			f := badRequest(fmt.Sprintf("Revocation %d of the array, counted from 0, is not valid; none was recorded", i))
			f.err = fmt.Errorf("revocation %d: %w", i, err)
			return nil, f
		}
	}
	return revs, nil
}

// splitArray returns the elements of a document that must be a JSON array. It wraps
// the document in an object, because package strictjson validates whole objects.
func splitArray(doc string) ([]string, error) {
	members, err := strictjson.Object(`{"array":` + doc + `}`)
	if err != nil {
		return nil, err
	}
	if len(members) != 1 { // doc continues after its first value
		return nil, strictjson.ErrSyntax
	}
	return strictjson.Array(members[0].Value)
}

// parseMatch parses the claims that a revocation must name. Numbers stay exact.
func parseMatch(doc string) (map[string]any, error) {
	members, err := strictjson.Object(doc)
	if err != nil {
		return nil, err
	}
	match := make(map[string]any, len(members))
	for _, m := range members {
		switch s, err := strictjson.String(m.Value); {
		case err == nil:
			match[m.Name] = s
		case m.Value == "true" || m.Value == "false":
			match[m.Name] = m.Value == "true"
		default:
			if _, err := strictjson.Number(m.Value); err != nil {
				return nil, err
			}
			match[m.Name] = json.Number(m.Value)
		}
	}
	return match, nil
}
