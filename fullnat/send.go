package fullnat

import "fleetlb/fullnat/link"

// outgoing is the frames that the queue gets back at the end of the turn, so
// that it is called once a batch and not once a packet.
type outgoing struct {
	sent    [batchSize]*link.Frame
	dropped [batchSize]*link.Frame
	toSend  int            // frames in sent
	toDrop  int            // frames in dropped
	one     [1]*link.Frame // a batch of one, so that Alloc needs no array of its own
}

// settle counts the verdict on a frame and lets go of the frame.
func (w *Worker) settle(f *link.Frame, v Verdict) {
	w.verdicts[v]++
	switch v {
	case Forwarded, Answered, Rejected, Originated:
		w.send(f)
	case Parked:
	default:
		w.drop(f)
	}
}

func (w *Worker) send(f *link.Frame) {
	o := &w.outgoing
	if o.toSend == len(o.sent) {
		w.flush()
	}
	o.sent[o.toSend] = f
	o.toSend++
}

func (w *Worker) drop(f *link.Frame) {
	o := &w.outgoing
	if o.toDrop == len(o.dropped) {
		w.flush()
	}
	o.dropped[o.toDrop] = f
	o.toDrop++
}

// flush hands all frames back to the queue. What the interfaces do not take is
// dropped: a full transmit ring means that the link is slower than what is sent
// to it.
func (w *Worker) flush() {
	o := &w.outgoing
	if o.toSend > 0 {
		sent := w.queue.Send(o.sent[:o.toSend])
		w.verdicts[DropTxFull] += uint64(o.toSend - sent)
		w.queue.Free(o.sent[sent:o.toSend])
		o.toSend = 0
	}
	if o.toDrop > 0 {
		w.queue.Free(o.dropped[:o.toDrop])
		o.toDrop = 0
	}
}

// alloc returns an empty frame for a packet of our own, or nil if there is none
// left, not even after those that are done with have been given back.
func (w *Worker) alloc() *link.Frame {
	one := w.outgoing.one[:]
	if w.queue.Alloc(one) == 1 {
		return one[0]
	}
	w.flush()
	if w.queue.Alloc(one) == 1 {
		return one[0]
	}
	return nil
}
