package watchers

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func restartsThenID(a, b Row) int {
	return cmp.Or(cmp.Compare(a.(*PodRow).Restarts, b.(*PodRow).Restarts), cmp.Compare(a.ID(), b.ID()))
}

// However an order came to be, it is what sorting gives, and earlier versions of it are not touched.
func TestOrderUnderChange(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		live := map[string]Row{}
		var o order
		type version struct {
			o    order
			want []Row
		}
		var old []version
		for range 60 {
			e := o.edit(restartsThenID)
			for range rnd.IntN(400) {
				id := fmt.Sprint(rnd.IntN(3000))
				before := live[id]
				var after Row
				if rnd.IntN(3) > 0 {
					after = &PodRow{Meta: Meta{UID: id}, Restarts: int32(rnd.IntN(40))}
					live[id] = after
				} else {
					delete(live, id)
				}
				e.change(before, after)
			}
			o = e.order()
			want := make([]Row, 0, len(live))
			for _, r := range live {
				want = append(want, r)
			}
			slices.SortFunc(want, restartsThenID)
			old = append(old, version{o, want})
		}
		for i, v := range old {
			if !slices.Equal(v.o.all(), v.want) {
				t.Fatalf("seed %d: version %d is not what sorting gives", seed, i)
			}
			for c, rows := range v.o.chunks {
				if len(rows) == 0 || cap(rows) != chunkMax {
					t.Fatalf("seed %d: chunk %d has %d rows, and room for %d", seed, c, len(rows), cap(rows))
				}
			}
			for i, r := range v.want {
				if j, ok := v.o.find(r, restartsThenID); !ok || j != i || v.o.at(i) != r {
					t.Fatalf("seed %d: row %d is found at %d, %v", seed, i, j, ok)
				}
			}
		}
	}
}

// Rows that come in order, as a list does, leave full chunks behind.
func TestOrderOfAnArrivingList(t *testing.T) {
	var o order
	for i := range 20 {
		e := o.edit(restartsThenID)
		for j := range 500 {
			e.change(nil, &PodRow{Meta: Meta{UID: fmt.Sprintf("%06d", i*500+j)}})
		}
		o = e.order()
	}
	if n := len(o.chunks); o.len() != 10_000 || n > 10_000/chunkMax+2 {
		t.Errorf("%d rows in %d chunks", o.len(), n)
	}
}

func TestFilterLooksAtEveryRow(t *testing.T) {
	for _, n := range []int{0, 1, chunkSize, 8*chunkSize - 1, 8 * chunkSize, 20_000} {
		rows := make([]Row, n)
		for i := range rows {
			rows[i] = &PodRow{Meta: Meta{UID: fmt.Sprintf("%06d", i)}, Restarts: int32(i)}
		}
		o := newOrder(rows).filter(func(r Row) bool { return r.(*PodRow).Restarts%3 == 0 })
		if want := (n + 2) / 3; o.len() != want {
			t.Errorf("%d of %d rows, want %d", o.len(), n, want)
		}
		for i, r := range o.all() {
			if r.(*PodRow).Restarts != int32(3*i) {
				t.Fatalf("row %d is %v", i, r)
			}
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a panic of the second goroutine was lost")
		}
	}()
	rows := make([]Row, 10_000)
	for i := range rows {
		rows[i] = &PodRow{Meta: Meta{UID: fmt.Sprint(i)}, Restarts: int32(i)}
	}
	newOrder(rows).filter(func(r Row) bool {
		if r.(*PodRow).Restarts == 9_999 {
			panic("match")
		}
		return true
	})
}

func TestSortRows(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	for _, n := range []int{0, 1, 2, 8*chunkSize - 1, 8 * chunkSize, 20_001} {
		rows := make([]Row, n)
		for i := range rows {
			rows[i] = &PodRow{Meta: Meta{UID: fmt.Sprint(i)}, Restarts: int32(rnd.IntN(50))}
		}
		want := slices.Clone(rows)
		slices.SortFunc(want, restartsThenID)
		if !slices.Equal(sortRows(rows, restartsThenID), want) {
			t.Errorf("%d rows are not sorted", n)
		}
	}
}
