package revindex_test

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oauthz/oauthz/internal/revindex"
)

func entry(k revindex.Key, until, expires time.Time) revindex.Entry {
	return revindex.Entry{Key: k, Term: revindex.Term{IssuedUntil: until, Expires: expires}}
}

// 32 bits address all records of an index, so the sum of their sizes has a limit.
func TestIndexWithoutRoom(t *testing.T) {
	t.Parallel()
	assert.Nil(t, revindex.New(leeway, 1).WithRoom(1, math.MaxInt64/4, time.Time{}))
}

// Covers compares one entry with the same key.
func TestCoversOfAnEntry(t *testing.T) {
	t.Parallel()
	list, hour := newList(), epoch.Add(time.Hour)
	list.add(t, time.Time{}, entry(key("i", "sub", "s"), epoch, hour), entry(key("i", "jti", "1"), time.Time{}, time.Time{}))
	for _, tt := range []struct {
		name  string
		entry revindex.Entry
		want  bool
	}{
		{"the same", entry(key("i", "sub", "s"), epoch, hour), true},
		{"earlier and shorter", entry(key("i", "sub", "s"), epoch.Add(-1), hour.Add(-1)), true},
		{"issued later", entry(key("i", "sub", "s"), epoch.Add(1), hour), false},
		{"longer", entry(key("i", "sub", "s"), epoch, hour.Add(1)), false},
		{"never expiring", entry(key("i", "sub", "s"), epoch, time.Time{}), false},
		{"without IssuedUntil", entry(key("i", "sub", "s"), time.Time{}, hour), false},
		{"by an entry without limits", entry(key("i", "jti", "1"), time.Time{}, time.Time{}), true},
		{"another value", entry(key("i", "jti", "2"), epoch, hour), false},
		{"another issuer", entry(key("j", "jti", "1"), epoch, hour), false},
		{"another shape", entry(key("i", "sid", "1"), epoch, hour), false},
	} {
		assert.Equal(t, tt.want, list.Covers(&tt.entry.Key, &tt.entry.Term), tt.name)
	}
}

// Select yields whole entries, the oldest first, and the caller may stop.
func TestSelect(t *testing.T) {
	t.Parallel()
	at := epoch.Add(-time.Hour)
	entries := []revindex.Entry{
		{Key: key("i", "jti", "1", "sub", "s"), Term: revindex.Term{Expires: epoch.Add(time.Hour), At: at}, Reason: "lost"},
		{Key: key("j", "sub", "s"), Term: revindex.Term{IssuedUntil: epoch}},
		{Key: key("i", "sub", "t"), Term: revindex.Term{Expires: epoch.Add(-leeway)}}, // expired
	}
	list := newList()
	list.add(t, time.Time{}, entries...)
	s, i := revindex.String("s"), revindex.String("i")
	for name, tt := range map[string]struct {
		filter revindex.Filter
		want   []revindex.Entry
	}{
		"all":             {revindex.Filter{}, entries[:2]},
		"a claim":         {revindex.Filter{Match: map[string]revindex.Value{"sub": s}}, entries[:2]},
		"the issuer":      {revindex.Filter{Match: map[string]revindex.Value{"iss": i}}, entries[:1]},
		"another value":   {revindex.Filter{Match: map[string]revindex.Value{"sub": i}}, nil},
		"another claim":   {revindex.Filter{Match: map[string]revindex.Value{"sid": s}}, nil},
		"expires from":    {revindex.Filter{Expires: revindex.Range{From: epoch.Add(time.Hour + 1)}}, entries[1:2]},
		"expires to":      {revindex.Filter{Expires: revindex.Range{To: epoch.Add(time.Hour + 1)}}, entries[:1]},
		"issued to":       {revindex.Filter{IssuedUntil: revindex.Range{From: epoch, To: epoch.Add(1)}}, entries[1:2]},
		"issued until to": {revindex.Filter{IssuedUntil: revindex.Range{To: epoch}}, nil},
		"revoked from":    {revindex.Filter{At: revindex.Range{From: at}}, entries[:1]},
		"revoked to":      {revindex.Filter{At: revindex.Range{To: at}}, entries[1:2]},
	} {
		assert.Equal(t, tt.want, slices.Collect(list.Select(&tt.filter, epoch)), name)
	}
	for e := range list.Select(&revindex.Filter{}, epoch) {
		require.Equal(t, entries[0], e)
		break
	}
}

// A batch gets a table of its size.
func TestRoomForBatches(t *testing.T) {
	t.Parallel()
	list, added := newList(), 0
	for _, n := range []int{1, 15, 100, 30, 3000} {
		list.add(t, time.Time{}, batch(added, n)...)
		added += n
	}
	assert.Equal(t, added, count(list))
}

// An index without its expired records is a copy. The old one is unchanged, for its readers.
func TestExpiredRecordsAreLeftOutOfACopy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		list := newList()
		list.add(t, time.Time{}, batch(0, 3000)...)
		old := list.Index
		<-time.After(time.Minute)
		list.add(t, epoch.Add(leeway), entry(key("i", "jti", "1"), time.Time{}, time.Time{}))
		assert.NotSame(t, old, list.Index)
		assert.Equal(t, 1, count(list))
		list.Index = old
		assert.Equal(t, 3000, count(list))
	})
}

// batch returns n entries that expire at epoch.
func batch(first, n int) (entries []revindex.Entry) {
	for i := range n {
		entries = append(entries, entry(key("i", "jti", value(first+i)), time.Time{}, epoch))
	}
	return entries
}

// count returns the number of entries that had not expired at epoch.
func count(l *list) (n int) {
	for range l.Select(&revindex.Filter{}, epoch) {
		n++
	}
	return n
}
