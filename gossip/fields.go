package gossip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
)

// What members tell each other is a version and then fields: a tag, a length, a
// value. A reader skips tags it does not know, so that directors of different
// builds understand each other; the version only changes when they no longer
// could.
const fieldsVersion = 1

// fields writes such a message.
type fields []byte

func newFields() fields { return fields{fieldsVersion} }

func (f *fields) bytes(tag byte, value []byte) {
	*f = binary.AppendUvarint(append(*f, tag), uint64(len(value)))
	*f = append(*f, value...)
}

func (f *fields) string(tag byte, value string) { f.bytes(tag, []byte(value)) }

// number writes a number, unless it is zero: readers begin at zero.
func (f *fields) number(tag byte, value uint64) {
	if value != 0 {
		f.bytes(tag, binary.AppendUvarint(nil, value))
	}
}

var errFields = errors.New("it ends within a field")

// parseFields yields a message's fields. It ends with an error, if any.
func parseFields(b []byte) iter.Seq2[field, error] {
	return func(yield func(field, error) bool) {
		switch {
		case len(b) == 0:
			yield(field{}, errFields)
			return
		case b[0] != fieldsVersion:
			yield(field{}, fmt.Errorf("it is of version %d; this build understands %d", b[0], fieldsVersion))
			return
		}
		for b = b[1:]; len(b) > 0; {
			size, n := binary.Uvarint(b[1:])
			if n <= 0 || size > uint64(len(b)-1-n) {
				yield(field{}, errFields)
				return
			}
			value := b[1+n : 1+n+int(size)]
			if !yield(field{b[0], value}, nil) {
				return
			}
			b = b[1+n+int(size):]
		}
	}
}

type field struct {
	tag   byte
	value []byte
}

// number reads what fields.number wrote; zero if it is none.
func (f field) number() uint64 {
	n, size := binary.Uvarint(f.value)
	if size != len(f.value) {
		return 0
	}
	return n
}
