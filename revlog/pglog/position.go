package pglog

import (
	"strconv"
	"strings"

	"github.com/oauthz/oauthz/revlog"
)

// position is an entry: its id, and the random mark that distinguishes it from all other
// entries that ever had this id. The zero value is the beginning.
type position struct {
	id   int64
	mark string
}

func (p position) String() string {
	if p == (position{}) {
		return ""
	}
	return strconv.FormatInt(p.id, 10) + "." + p.mark
}

// parsePosition reads the form that String writes. For any other text it returns
// [revlog.ErrTruncated], so that the reader starts again, as if the entry were missing.
func parsePosition(s string) (position, error) {
	if s == "" {
		return position{}, nil
	}
	id, mark, _ := strings.Cut(s, ".")
	n, err := strconv.ParseInt(id, 10, 64)
	p := position{n, mark}
	if err != nil || p.String() != s {
		return position{}, revlog.ErrTruncated
	}
	return p, nil
}
