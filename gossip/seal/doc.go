// Package seal keeps what directors tell each other private, whole and fresh.
//
// # Keys
//
// A [Ring] holds the fleet's keys. The first is sent with, all are accepted, and
// each message names the one it was sealed with, so keys can be replaced while
// traffic flows. The fleet's label is mixed into each key: fleets of different
// labels do not understand each other even when somebody copied the key file.
//
// No message is sealed with a ring's key itself. From it, by HKDF-SHA256, comes
// a key for each pair of lives (see [Life]) and each direction; messages are
// AES-256-GCM under it with a counter as nonce, which is never used twice since
// a life is never lived twice.
//
// # Datagrams
//
// A datagram is bound to the life of its sender and to that of its receiver, so
// neither outlives either: what was recorded before a receiver's start is noise
// to it. Within one life a [window] refuses what came before. Of each sender
// only the latest life is heard.
//
//	0   version            1
//	1   key id             4
//	5   receiver's epoch   4  its low half, only to tell "late" from "forged"
//	9   sender             8
//	17  sender's epoch     8
//	25  counter            6
//	31  kind and payload      sealed; the 31 bytes above are bound to it
//	    tag               16
//
// # Streams
//
// Both ends of a stream throw in 32 random bytes from which its keys are derived,
// so a recording of one is no use to either end of another. See [Endpoint.Dial].
//
// # In the clear
//
// A ring without keys has one that everybody knows. It keeps accidents out, not
// attackers, and is meant for loopback alone, which the caller sees to.
package seal
