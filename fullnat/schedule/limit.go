package schedule

// A limit is a member's thresholds, and the load that they are about.
type limit struct {
	load         Load
	upper, lower uint32
}

func (m *Member) limit() limit {
	l := limit{*idle, m.Upper, m.Lower}
	if m.Load != nil {
		l.load = *m.Load
	}
	return l
}

// full says whether the member gets nothing new just now.
func (l *limit) full() bool { return l.upper > 0 && l.load.Full(l.upper, l.lower) }

// limits lists them by position; nil when no member has any.
func limits(members []Member) (all []limit) {
	some := false
	for i := range members {
		all = append(all, members[i].limit())
		some = some || members[i].Upper > 0
	}
	if !some {
		return nil
	}
	return all
}

// Full says whether the server has had upper sessions or more, and since then
// never fewer than lower, or than three quarters of upper if lower is 0. All who
// ask must name the same thresholds; an upper of 0 is none. Whoever changes the
// load asks, so that no crossing is missed; in a fleet the others' sessions count
// as they were last heard of.
func (l *Load) Full(upper, lower uint32) bool {
	full := &l.block.notes[l.at].full
	was := full.Load()
	r := l.reckon()
	n, up := r.active+r.inactive, uint64(upper)
	is := n >= up
	if was && lower > 0 {
		is = n >= uint64(lower)
	} else if was {
		is = 4*n >= 3*up
	}
	if is = is && upper > 0; is != was {
		full.Store(is)
	}
	return is
}
