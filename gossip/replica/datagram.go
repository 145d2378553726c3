package replica

import (
	"encoding/binary"

	"fleetlb/fullnat/packet"
	"fleetlb/session"
)

// A datagram is a header and blocks, integers in network order:
//
//	magic 2 | version 1 | needs 1 | life 8 | blocks
//	block:   kind 1 | length 2 | body
//
//	batch:   stream 4 | number 4 | behind by 2 | extension | records
//	           behind by: how many numbers before this one the oldest batch is
//	           that is not known to have arrived
//	ack:     stream 4 | applied 4 | length 1 | set of held ones, from applied+1 on
//	restart: stream 4
//	ask:     id 4 | tuples
//	answer:  id 4 | set of tuples answered 8 | records, each after its tuple's number 1
//
//	extension: length 2 | (kind 1 | length 1 | body) …
//	record:    length as a varint | session.Record
//	tuple:     family 1 (4 or 6) | protocol 1 | addresses | ports 2, 2
//
// life is the epoch of the receiver that is meant. What is left of a body after
// what is known, and blocks and extensions of other kinds, are passed over.
const (
	magic   = 0x666c // "fl"
	version = 1      // of this format
	needs   = 1      // the oldest version that can read what is sent
)

const (
	headerSize = 12
	blockSize  = 3  // kind and length
	batchSize  = 12 // before its records, without an extension
)

const (
	blockBatch = 1 + iota
	blockAck
	blockRestart
	blockAsk
	blockAnswer
)

// extensionBehind is in a batch: the slots in which the receiver is behind.
const extensionBehind = 1

// ackSize is the largest ack block, for which every datagram has room.
const ackSize = blockSize + 9 + window/8

// maxBody is how many bytes of records fit into a batch.
const maxBody = MaxDatagram - headerSize - ackSize - blockSize - batchSize - (2 + slotSetSize)

func appendHeader(b []byte, life uint64) []byte {
	b = binary.BigEndian.AppendUint16(b, magic)
	b = append(b, version, needs)
	return binary.BigEndian.AppendUint64(b, life)
}

// openBlock begins a block, closeBlock sets its length.
func openBlock(b []byte, kind byte) []byte { return append(b, kind, 0, 0) }

func closeBlock(b []byte, at int) []byte {
	binary.BigEndian.PutUint16(b[at+1:], uint16(len(b)-at-blockSize))
	return b
}

// parseHeader returns the blocks of a datagram and whom it is for.
func parseHeader(b []byte) (life uint64, blocks []byte, why refusal) {
	if len(b) < headerSize || binary.BigEndian.Uint16(b) != magic {
		return 0, nil, refuseShape
	}
	if b[3] > version {
		return 0, nil, refuseVersion
	}
	return binary.BigEndian.Uint64(b[4:]), b[headerSize:], fine
}

// nextBlock cuts the first block off b.
func nextBlock(b []byte) (kind byte, body, rest []byte, ok bool) {
	if len(b) < blockSize {
		return 0, nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[1:]))
	if len(b) < blockSize+n {
		return 0, nil, nil, false
	}
	return b[0], b[blockSize : blockSize+n], b[blockSize+n:], true
}

// A batchView is a batch as it came.
type batchView struct {
	stream, number, oldest uint32
	behind                 slotSet
	records                []byte
}

func (v *batchView) parse(b []byte) bool {
	if len(b) < batchSize {
		return false
	}
	v.stream = binary.BigEndian.Uint32(b)
	v.number = binary.BigEndian.Uint32(b[4:])
	v.oldest = v.number - uint32(binary.BigEndian.Uint16(b[8:]))
	v.behind = slotSet{}
	n := int(binary.BigEndian.Uint16(b[10:]))
	if len(b) < batchSize+n {
		return false
	}
	extensions := b[batchSize : batchSize+n]
	v.records = b[batchSize+n:]
	for len(extensions) > 0 {
		if len(extensions) < 2 || len(extensions) < 2+int(extensions[1]) {
			return false
		}
		body := extensions[2 : 2+int(extensions[1])]
		if extensions[0] == extensionBehind {
			if len(body) < slotSetSize {
				return false
			}
			v.behind.parse(body)
		}
		extensions = extensions[2+len(body):]
	}
	return true
}

// An ackState is what a receiver has of a stream.
type ackState struct {
	stream, applied uint32
	held            [window / 8]byte // bit i: number applied+1+i
	bits            int              // bytes of held in use
}

func (a *ackState) appendTo(b []byte) []byte {
	at := len(b)
	b = openBlock(b, blockAck)
	b = binary.BigEndian.AppendUint32(b, a.stream)
	b = binary.BigEndian.AppendUint32(b, a.applied)
	b = append(b, byte(a.bits))
	b = append(b, a.held[:a.bits]...)
	return closeBlock(b, at)
}

func (a *ackState) parse(b []byte) bool {
	if len(b) < 9 || len(b) < 9+int(b[8]) {
		return false
	}
	a.stream = binary.BigEndian.Uint32(b)
	a.applied = binary.BigEndian.Uint32(b[4:])
	a.bits = copy(a.held[:], b[9:9+int(b[8])])
	return true
}

func appendRestart(b []byte, stream uint32) []byte {
	at := len(b)
	b = binary.BigEndian.AppendUint32(openBlock(b, blockRestart), stream)
	return closeBlock(b, at)
}

// maxTupleSize is of one that asks about IPv6.
const maxTupleSize = 2 + 2*16 + 4

func appendTuple(b []byte, t packet.Tuple) []byte {
	if t.Src.Is4() && t.Dst.Is4() {
		b = append(b, 4, t.Protocol)
		b = append(b, t.Src[12:]...)
		b = append(b, t.Dst[12:]...)
	} else {
		b = append(b, 6, t.Protocol)
		b = append(b, t.Src[:]...)
		b = append(b, t.Dst[:]...)
	}
	b = binary.BigEndian.AppendUint16(b, t.SrcPort)
	return binary.BigEndian.AppendUint16(b, t.DstPort)
}

// parseTuple cuts the first tuple off b.
func parseTuple(b []byte) (t packet.Tuple, rest []byte, ok bool) {
	if len(b) < 2 {
		return t, nil, false
	}
	size := 0
	switch b[0] {
	case 4:
		size = 4
	case 6:
		size = 16
	default:
		return t, nil, false
	}
	if len(b) < 2+2*size+4 {
		return t, nil, false
	}
	t.Protocol = b[1]
	b = b[2:]
	if size == 4 {
		t.Src, t.Dst = addr4(b), addr4(b[4:])
	} else {
		copy(t.Src[:], b)
		copy(t.Dst[:], b[16:])
	}
	b = b[2*size:]
	t.SrcPort, t.DstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	return t, b[4:], true
}

func addr4(b []byte) (a packet.Addr) {
	a[10], a[11] = 0xff, 0xff
	copy(a[12:], b[:4])
	return a
}

// session.MaxRecord must fit, with its length, beside everything else.
var _ [maxBody - session.MaxRecord - 2]struct{}
