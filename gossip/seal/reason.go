package seal

//go:generate go tool stringer -type=Reason -linecomment

// A Reason is why a message was refused. The word after each is its name in
// metrics; [Reason.Text] is for the operator.
type Reason uint8

const (
	Fine        Reason = iota // fine
	Truncated                 // truncated
	Huge                      // huge
	Version                   // version
	UnknownKey                // unknown_key
	Late                      // late
	Own                       // own
	StaleEpoch                // stale_epoch
	Replayed                  // replayed
	Forged                    // forged
	Crowded                   // crowded
	Misdirected               // misdirected
	Handshake                 // handshake
	NumReasons                // reasons
)

var texts = [NumReasons]string{
	Fine:        "nothing is wrong with it",
	Truncated:   "it ends too early",
	Huge:        "it is longer than any of ours",
	Version:     "it is of another version, or not of a fleet at all",
	UnknownKey:  "it is sealed with a key that is not in this director's ring, or for a fleet of another label",
	Late:        "it is meant for this director before it was restarted",
	Own:         "it is this director's own",
	StaleEpoch:  "it is of a life of its sender that ended; if the sender was restarted, its clock is behind",
	Replayed:    "it came before",
	Forged:      "it is not what somebody with our key has sealed",
	Crowded:     "there are more senders or streams than this director serves",
	Misdirected: "somebody else is where it was meant to go",
	Handshake:   "the other end did not complete the opening of a stream in time",
}

// Text says in an operator's words why a message was refused.
func (r Reason) Text() string { return texts[min(r, NumReasons-1)] }

// Error makes a Reason the cause in an error.
func (r Reason) Error() string { return r.Text() }
