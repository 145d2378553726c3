package replica

import "fleetlb/session"

// admit says whether a member may tell us a record that nobody asked for: the
// home alone creates and ends its sessions. What another tells can only change a
// session that is here already; the sessions see to that, who know.
func (r *roster) admit(s *seat, record *session.Record) refusal {
	if record.Kind == session.Mark {
		if record.Home.ID != s.ID {
			return refuseOwner
		}
		return fine
	}
	if record.Valid() != nil {
		return refuseRecord
	}
	if record.Home.ID != s.ID {
		if record.Kind != session.Update {
			return refuseOwner
		}
		return r.placed(record)
	}
	if record.Home.Epoch > s.Epoch {
		return refuseStale
	}
	return r.placed(record)
}

// admitAsked says the same of a record that we asked for, of whatever home.
func (r *roster) admitAsked(s *seat, record *session.Record) refusal {
	switch {
	case record.Kind != session.Update || record.Valid() != nil:
		return refuseRecord
	case record.Home.ID == s.ID && record.Home.Epoch > s.Epoch:
		return refuseStale
	}
	return r.placed(record)
}

// placed says whether the local address of a session is one of its home's, as
// far as those are known.
func (r *roster) placed(record *session.Record) refusal {
	if record.LocalPort == 0 {
		return fine // its mode uses none
	}
	if blocks, known := r.blocks[record.Home.ID]; known && !contains(blocks, record.Local.Netip()) {
		return refuseBlock
	}
	return fine
}
