package node

import (
	"context"
	"fmt"
	"io"
	"time"

	"fleetlb/fullnat/persist"
	"fleetlb/gossip"
	"fleetlb/session"
)

// Where services are persistent, every director must know which server each
// network of clients was given: what is new is told to all of them, and all of it
// to one that has just come.

// tellTemplates is the call by which templates are told: records, one after the
// other.
const tellTemplates = "templates"

const (
	// templatePeriod is how often what is new is told. A client whose connections
	// meet two directors within that time may be given two servers; the directors
	// agree on one of them for the next.
	templatePeriod = 50 * time.Millisecond
	// templateBatch is how many are told in one call.
	templateBatch = 4096
	// templatePatience bounds one call.
	templatePatience = 5 * time.Second
)

// templates tells the others of templates until ctx ends.
func (d *director) templates(ctx context.Context) {
	store := d.plane.Templates()
	informed := map[session.NodeID]uint64{} // who knows all that was told, in which epoch
	news := make([]persist.Record, templateBatch)
	tick := time.NewTicker(templatePeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n := store.Changed(d.plane.Now(), news)
		message := encoded(news[:n])
		for _, m := range d.company.members.Members() {
			if !m.Alive {
				delete(informed, m.ID)
				continue
			}
			var err error
			if informed[m.ID] != m.Epoch {
				err = d.tellAll(ctx, &m)
			} else if n > 0 {
				err = d.call(ctx, &m, message)
			}
			if err == nil {
				informed[m.ID] = m.Epoch
			} else {
				delete(informed, m.ID) // it is told everything again
			}
		}
	}
}

// tellAll tells another director every template there is.
func (d *director) tellAll(ctx context.Context, m *gossip.Member) error {
	batch := make([]persist.Record, templateBatch)
	for from := persist.Cursor(0); ; {
		n, next := d.plane.Templates().Known(from, d.plane.Now(), batch)
		if n > 0 {
			if err := d.call(ctx, m, encoded(batch[:n])); err != nil {
				return err
			}
		}
		if from = next; next == 0 {
			return nil
		}
	}
}

func (d *director) call(ctx context.Context, m *gossip.Member, message []byte) error {
	ctx, cancel := context.WithTimeout(ctx, templatePatience)
	defer cancel()
	answer, err := d.company.members.Call(ctx, m.ID, tellTemplates, message)
	if err != nil {
		return err
	}
	defer answer.Close()
	_, err = io.Copy(io.Discard, answer)
	return err
}

func encoded(records []persist.Record) (b []byte) {
	for i := range records {
		b = records[i].AppendTo(b)
	}
	return b
}

// learnTemplates takes what another director tells.
func (d *director) learnTemplates(_ context.Context, _ gossip.Member, message []byte, _ io.Writer) error {
	now := d.plane.Now()
	for len(message) > 0 {
		r, rest, err := persist.Parse(message)
		if err != nil {
			return fmt.Errorf("%s: %w", tellTemplates, err)
		}
		d.plane.Templates().Apply(&r, now)
		message = rest
	}
	return nil
}
