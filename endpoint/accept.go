package endpoint

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// prefersSigned reports whether a request prefers a signed answer (RFC 9701 §4):
// it names the media type, with a weight at least as high as that of plain JSON
// (RFC 9110 §12.5.1). A wildcard does not count as a request for a signed answer:
// clients that do not know RFC 9701 send wildcards.
//
// If both types have the same weight, the server may choose. It signs, because no
// intermediary can have changed a signed answer. (oidc-provider signs only if the
// type is the only one in Accept; clients that want signed answers send it alone.)
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

// maxAccept bounds the total length of the Accept fields of a request. A request
// with longer fields gets plain JSON. net/http accepts 1 MiB of fields, and package
// mime is slow on fields of that length.
const maxAccept = 8 << 10

// quality returns the weight that the Accept fields give to a media range, and -1
// if no field names the range. It ignores elements that cannot be parsed.
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

// weight parses q (RFC 9110 §12.4.2). It returns 1 if q is empty and -1 if q is not valid.
func weight(q string) float64 {
	if q == "" {
		return 1
	}
	if strings.Trim(q, "0123456789.") != "" { // ParseFloat also accepts NaN, signs and exponents
		return -1
	}
	w, err := strconv.ParseFloat(q, 64)
	if err != nil || w > 1 {
		return -1
	}
	return w
}
