package endpoint

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// wantsSigned says whether a request asks for a signed answer (RFC 9701 §4): it
// names the type, and likes it no less than plain JSON (RFC 9110 §12.5.1). A
// wildcard asks for nothing: clients that know nothing of RFC 9701 send it.
//
// Where both are named and liked alike it is ours to choose, and signed is the
// answer that nobody on the way could have changed. (oidc-provider signs only
// when the type stands alone; clients that want signed answers send it so.)
func prefersSigned(h http.Header) bool {
	size := 0
	for _, field := range h["Accept"] {
		size += len(field)
	}
	if size > maxAccept {
		return false
	}
	signed := quality(h, signedMediaType)
	plain := quality(h, mediaJSON)
	for _, wider := range []string{"application/*", "*/*"} {
		if plain < 0 {
			plain = quality(h, wider)
		}
	}
	return signed > 0 && signed >= plain
}

// maxAccept bounds the Accept fields of a request together; beyond, they ask for
// nothing. net/http takes 1 MiB, of which package mime makes much work.
const maxAccept = 8 << 10

// quality is the weight of a media range that an Accept field names, -1 if none
// does. An element that cannot be read names nothing.
func quality(h http.Header, mediaRange string) float64 {
	best := -1.0
	for _, field := range h["Accept"] {
		for element := range strings.SplitSeq(field, ",") {
			typ, params, err := mime.ParseMediaType(element)
			if err != nil || typ != mediaRange {
				continue
			}
			best = max(best, weight(params["q"]))
		}
	}
	return best
}

// weight reads q (RFC 9110 §12.4.2): 1 if there is none, -1 if it is not a weight.
func weight(q string) float64 {
	if q == "" {
		return 1
	}
	if strings.Trim(q, "0123456789.") != "" { // ParseFloat knows NaN, signs and exponents
		return -1
	}
	w, err := strconv.ParseFloat(q, 64)
	if err != nil || w > 1 {
		return -1
	}
	return w
}
