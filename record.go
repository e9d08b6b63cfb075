package oauthz

import (
	"encoding/binary"
	"strconv"
	"strings"
	"time"
)

// record is a revocation as bytes: its hash (32 bits), its size (16), its shape
// and issuer (varints), the values that it matches by, its term, its reason. A
// slice that is read may go on behind the end of the record.
type record []byte

// key is what a record is found by.
type key struct {
	shape  int
	issuer string
	values []matchValue
}

// term is when a revocation applies.
type term struct {
	issuedUntil time.Time // zero: whenever issued
	expires     time.Time // zero: never
	at          time.Time
	combined    bool // it was made of several, so no one revocation covers as much
}

const (
	headerBytes = 6
	// maxRecordBytes bounds one revocation: its size must fit 16 bits, and it a
	// chunk. No longer token could be matched.
	maxRecordBytes = 1<<16 - 1
	// maxEnvelopeBytes bounds what a record has beside its texts.
	maxEnvelopeBytes = headerBytes + 2*binary.MaxVarintLen32 + 3*(1+2*binary.MaxVarintLen64) + binary.MaxVarintLen32
	// maxValueBytes bounds what a value has beside its text.
	maxValueBytes = 1 + binary.MaxVarintLen32
)

// size is the most bytes that the record of m can take, with the names that it
// is the first to have.
func (m *matcher) size(reason string) int {
	size := maxEnvelopeBytes + placeBytes + len(m.issuer) + len(reason)
	for i, v := range m.values {
		size += maxValueBytes + len(m.names[i]) + len(v.text)
	}
	return size
}

func appendHeader(r record, hash uint32, shape, issuer int) record {
	r = binary.LittleEndian.AppendUint32(r, hash)
	r = append(r, 0, 0) // for the size
	r = binary.AppendUvarint(r, uint64(shape))
	return binary.AppendUvarint(r, uint64(issuer))
}

func appendRecord(r record, hash uint32, shape, issuer int, values []matchValue, t term, reason string) record {
	r = appendHeader(r, hash, shape, issuer)
	for _, v := range values {
		r = append(r, v.kind)
		r = appendText(r, v.text)
	}
	start := len(r)
	for _, at := range []time.Time{t.issuedUntil, t.expires, t.at} {
		r = appendTime(r, at)
	}
	if t.combined { // then it has an issuedUntil
		r[start] = combinedTime
	}
	return withSize(appendText(r, reason))
}

func withSize(r record) record {
	binary.LittleEndian.PutUint16(r[4:], uint16(len(r)))
	return r
}

func appendText(r record, text string) record {
	return append(binary.AppendUvarint(r, uint64(len(text))), text...)
}

// The first byte of a time.
const (
	noTime = iota
	someTime
	combinedTime // of a record that was made of several
)

func appendTime(r record, t time.Time) record {
	if t.IsZero() {
		return append(r, noTime)
	}
	r = append(r, someTime)
	r = binary.AppendVarint(r, t.Unix())
	return binary.AppendUvarint(r, uint64(t.Nanosecond()))
}

func (r record) hash() uint32 { return binary.LittleEndian.Uint32(r) }

func (r record) size() int { return int(binary.LittleEndian.Uint16(r[4:])) }

// places is how many places it takes.
func (r record) places() uint32 { return uint32((r.size() + placeBytes - 1) / placeBytes) }

// header returns the numbers of the shape and of the issuer, and what follows.
func (r record) header() (shape, issuer int, rest record) {
	rest = r[headerBytes:]
	shape, rest = readInt(rest)
	issuer, rest = readInt(rest)
	return shape, issuer, rest
}

func readInt(r record) (int, record) {
	n, size := binary.Uvarint(r)
	return int(n), r[size:]
}

// readText returns a part of the record: it is copied by whoever keeps it.
func readText(r record) (text []byte, rest record) {
	n, r := readInt(r)
	return r[:n], r[n:]
}

func readValue(r record) (matchValue, record) {
	text, rest := readText(r[1:])
	return matchValue{r[0], string(text)}, rest
}

func readTime(r record) (time.Time, record) {
	if r[0] == noTime {
		return time.Time{}, r[1:]
	}
	seconds, n := binary.Varint(r[1:])
	nanos, m := binary.Uvarint(r[1+n:])
	return time.Unix(seconds, int64(nanos)).UTC(), r[1+n+m:]
}

func readTerm(r record) (t term, rest record) {
	t.combined = r[0] == combinedTime
	t.issuedUntil, r = readTime(r)
	t.expires, r = readTime(r)
	t.at, r = readTime(r)
	return t, r
}

// is says whether r is found by k, and returns what follows its values. It
// compares them all: hashes are only where to look.
func (x *index) is(r record, k *key) (rest record, ok bool) {
	shape, issuer, rest := r.header()
	if shape != k.shape || x.issuer(issuer) != k.issuer {
		return nil, false
	}
	for i := range k.values {
		text, next := readText(rest[1:])
		if rest[0] != k.values[i].kind || string(text) != k.values[i].text {
			return nil, false
		}
		rest = next
	}
	return rest, true
}

// ends is when no token that it can match is alive any more; zero: never.
func (t *term) ends() time.Time {
	if t.expires.IsZero() {
		return time.Time{}
	}
	return t.expires.Add(MaxLeeway)
}

func (t *term) over(now time.Time) bool { return !t.expires.IsZero() && !now.Before(t.ends()) }

// revokes reports whether t applies to a token. One that was issued too far ahead
// would escape every IssuedUntil: its iat counts as missing, where there is no
// Guard that refuses it.
func (t *term) revokes(token *Token, now time.Time) bool {
	return !t.over(now) && (t.issuedUntil.IsZero() || !token.IssuedAt.After(t.issuedUntil) || token.issuedTooFarAhead(now))
}

// covers says whether t revokes all that other does, for as long.
func (t *term) covers(other term) bool {
	asLate := func(a, b time.Time) bool { return a.IsZero() || !b.IsZero() && !a.Before(b) }
	return asLate(t.issuedUntil, other.issuedUntil) && asLate(t.expires, other.expires)
}

func (x *index) term(r record) term {
	id, _, rest := r.header()
	for range x.shape(id).names {
		_, rest = readText(rest[1:])
	}
	t, _ := readTerm(rest)
	return t
}

// revocation is the whole of r.
func (x *index) revocation(r record) Revocation {
	id, issuer, rest := r.header()
	rev := Revocation{Match: map[string]any{"iss": x.issuer(issuer)}}
	for _, name := range x.shape(id).names {
		var v matchValue
		v, rest = readValue(rest)
		rev.Match[name] = v.any()
	}
	t, rest := readTerm(rest)
	reason, _ := readText(rest)
	rev.IssuedUntil, rev.Expires, rev.At, rev.Reason = t.issuedUntil, t.expires, t.at, string(reason)
	return rev
}

// joined puts strings together with their lengths, so that no two lists meet.
func joined(list []string) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(strconv.Itoa(len(s)))
		b.WriteByte(':')
		b.WriteString(s)
	}
	return b.String()
}
