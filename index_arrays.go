package oauthz

import (
	"hash/maphash"
	"time"
)

// A claim that is an array matches by each of its elements, and a shape of two
// such claims by each pair of elements. The pairs may be far more than the
// elements, and who brings a token may have chosen them. So beside the hash table
// a shape of several names has rows, and a look-up goes through these where that
// is quicker than to look up each pair.

func (x *index) shapeRevokes(id int, s *shape, issuer uint64, t *Token, now func() time.Time) bool {
	values, lists, ok := s.values(t, nil)
	if !ok {
		return false
	}
	k := key{id, t.Issuer, values}
	if lists == nil {
		return x.find(x.hash(s, issuer, values), &k, t, now)
	}
	choices := make([][]choice, len(lists))
	for i, more := range lists {
		choices[i] = append(make([]choice, 0, 1+len(more)), x.choice(values[i]))
		for _, v := range more {
			choices[i] = append(choices[i], x.choice(v))
		}
	}
	if s.scans(choices) {
		return x.scan(s, choices, t, now)
	}
	return x.probe(mix(s.hash, issuer), &k, choices, 0, t, now)
}

// find looks the key up.
func (x *index) find(hash uint32, k *key, t *Token, now func() time.Time) bool {
	for _, place := range x.table.Load().having(hash) {
		if rest, ok := x.is(x.record(place), k); ok {
			if term, _ := readTerm(rest); term.revokes(t, now()) {
				return true
			}
		}
	}
	return false
}

// choice is a value of a claim, and its hash: there are many combinations of few values.
type choice struct {
	matchValue
	hash uint64
}

func (x *index) choice(v matchValue) choice { return choice{v, maphash.String(x.seed, v.text)} }

// probe looks up every way to choose the values from the i-th on. hash is of those
// before it.
func (x *index) probe(hash uint64, k *key, choices [][]choice, i int, t *Token, now func() time.Time) bool {
	for j := range choices[i] {
		c := &choices[i][j]
		k.values[i] = c.matchValue
		h := mix(hash+uint64(c.kind), c.hash)
		if i+1 < len(choices) {
			if x.probe(h, k, choices, i+1, t, now) {
				return true
			}
		} else if x.find(uint32(h>>32), k, t, now) {
			return true
		}
	}
	return false
}

// addRow adds the row of the record at place to its shape, if that has rows. A row
// is the place and, for each value, half of its hash.
func (x *index) addRow(place uint32) {
	id, _, rest := x.record(place).header()
	s := x.shape(id)
	if len(s.names) < 2 {
		return
	}
	rows := append(*s.rows.Load(), place)
	for range s.names {
		var text []byte
		text, rest = readText(rest[1:])
		rows = append(rows, half(maphash.Bytes(x.seed, text)))
	}
	s.rows.Store(&rows)
}

func half(hash uint64) uint32 { return uint32(hash >> 32) }

// rowsPerProbe is how many rows scan goes through while probe looks up one
// combination: rows lie side by side, slots anywhere in memory.
const rowsPerProbe = 32

// scans reports whether scan is quicker than probe.
func (s *shape) scans(choices [][]choice) bool {
	if len(s.names) < 2 {
		return false
	}
	probes := len(*s.rows.Load()) / (1 + len(s.names)) / rowsPerProbe
	for _, list := range choices {
		if probes /= len(list); probes == 0 {
			return true
		}
	}
	return false
}

// filter is a set of hashes, and of others that are taken for one of these.
type filter [1 << 16 / 64]uint64

func (f *filter) add(half uint32) { f[half>>22] |= 1 << (half >> 16 & 63) }

func (f *filter) has(half uint32) bool { return f[half>>22]&(1<<(half>>16&63)) != 0 }

// scan goes through the rows of s. The filters pass few rows that do not match,
// and for these the sets decide.
func (x *index) scan(s *shape, choices [][]choice, t *Token, now func() time.Time) bool {
	filters, sets := make([]filter, len(choices)), make([]map[matchValue]bool, len(choices))
	for i, list := range choices {
		sets[i] = make(map[matchValue]bool, len(list))
		for j := range list {
			filters[i].add(half(list[j].hash))
			sets[i][list[j].matchValue] = true
		}
	}
	for rows, width := *s.rows.Load(), 1+len(choices); len(rows) > 0; rows = rows[width:] {
		within := true
		for i, half := range rows[1:width] {
			if !filters[i].has(half) {
				within = false
				break
			}
		}
		if within && x.chosen(x.record(rows[0]), sets, t, now) {
			return true
		}
	}
	return false
}

// chosen reports whether the record r revokes t, with a value of each set.
func (x *index) chosen(r record, sets []map[matchValue]bool, t *Token, now func() time.Time) bool {
	_, issuer, rest := r.header()
	if x.issuer(issuer) != t.Issuer {
		return false
	}
	for _, set := range sets {
		text, next := readText(rest[1:])
		if !set[matchValue{rest[0], string(text)}] {
			return false
		}
		rest = next
	}
	term, _ := readTerm(rest)
	return term.revokes(t, now())
}
