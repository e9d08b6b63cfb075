package revindex

import (
	"encoding/binary"
	"strconv"
	"strings"
	"time"
)

// record is an entry as bytes: its hash (32 bits), its size (16), its shape and
// issuer (varints), its values, its term, its reason. A slice that is read may
// extend behind the end of the record.
type record []byte

// recordKey is a Key with the number of its shape in place of the names.
type recordKey struct {
	shape  int
	issuer string
	values []Value
}

const (
	headerBytes = 6
	// MaxEntryBytes limits [Entry.Size]: the size of a record must fit in 16 bits,
	// and the record in a chunk. A longer value could match no token.
	MaxEntryBytes = 1<<16 - 1
	// maxEnvelopeBytes limits the size of a record without its texts.
	maxEnvelopeBytes = headerBytes + 2*binary.MaxVarintLen32 + 3*(1+2*binary.MaxVarintLen64) + binary.MaxVarintLen32
	// maxValueBytes limits the size of a value without its text.
	maxValueBytes = 1 + binary.MaxVarintLen32
)

// Size returns the most bytes that e can take, with the names of its shape, which
// it may be the first to use. It must be at most [MaxEntryBytes].
func (e *Entry) Size() int {
	size := maxEnvelopeBytes + unitBytes + len(e.Issuer) + len(e.Reason)
	for i, v := range e.Values {
		size += maxValueBytes + len(e.Names[i]) + len(v.text)
	}
	return size
}

func appendHeader(r record, hash uint32, shape, issuer int) record {
	r = binary.LittleEndian.AppendUint32(r, hash)
	r = append(r, 0, 0) // for the size
	r = binary.AppendUvarint(r, uint64(shape))
	return binary.AppendUvarint(r, uint64(issuer))
}

func newRecord(hash uint32, shape, issuer int, e *Entry) record {
	r := appendHeader(nil, hash, shape, issuer)
	for _, v := range e.Values {
		r = append(r, v.kind)
		r = appendText(r, v.text)
	}
	start := len(r)
	for _, at := range []time.Time{e.IssuedUntil, e.Expires, e.At} {
		r = appendTime(r, at)
	}
	if e.combined { // then it has an IssuedUntil
		r[start] = combinedTime
	}
	return withSize(appendText(r, e.Reason))
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

// units returns the size of r in units of unitBytes, rounded up.
func (r record) units() uint32 { return uint32((r.size() + unitBytes - 1) / unitBytes) }

// header returns the numbers of the shape and of the issuer, and the bytes behind them.
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

// readText returns a part of the record: a caller that keeps it must copy it.
func readText(r record) (text []byte, rest record) {
	n, r := readInt(r)
	return r[:n], r[n:]
}

func readValue(r record) (Value, record) {
	text, rest := readText(r[1:])
	return Value{r[0], string(text)}, rest
}

func readTime(r record) (time.Time, record) {
	if r[0] == noTime {
		return time.Time{}, r[1:]
	}
	seconds, n := binary.Varint(r[1:])
	nanos, m := binary.Uvarint(r[1+n:])
	return time.Unix(seconds, int64(nanos)).UTC(), r[1+n+m:]
}

func readTerm(r record) (t Term, rest record) {
	t.combined = r[0] == combinedTime
	t.IssuedUntil, r = readTime(r)
	t.Expires, r = readTime(r)
	t.At, r = readTime(r)
	return t, r
}

// matches reports whether r has the key k, and returns the bytes behind the values
// of r. It compares all values: a hash only leads to a record.
func (x *Index) matches(r record, k *recordKey) (rest record, ok bool) {
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

func (x *Index) term(r record) Term {
	id, _, rest := r.header()
	for range x.shape(id).names {
		_, rest = readText(rest[1:])
	}
	t, _ := readTerm(rest)
	return t
}

// entry decodes r. The names are those of the shape: they must only be read.
func (x *Index) entry(r record) Entry {
	id, issuer, rest := r.header()
	names := x.shape(id).names
	e := Entry{Key: Key{Issuer: x.issuer(issuer), Names: names, Values: make([]Value, len(names))}}
	for i := range names {
		e.Values[i], rest = readValue(rest)
	}
	e.Term, rest = readTerm(rest)
	reason, _ := readText(rest)
	e.Reason = string(reason)
	return e
}

// joined joins strings with their lengths, so that no two lists have the same result.
func joined(list []string) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(strconv.Itoa(len(s)))
		b.WriteByte(':')
		b.WriteString(s)
	}
	return b.String()
}
