package bgp

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/osrg/gobgp/v3/pkg/log"
)

// reasons are GoBGP's reasons for leaving a state, in operators' words.
var reasons = map[string]string{
	"admin-down":         "administratively down",
	"read-failed":        "connection closed by the neighbor",
	"write-failed":       "connection lost while sending",
	"hold-timer-expired": "hold timer expired",
	"invalid-msg":        "refused our OPEN: do asn, router id and capabilities agree on both sides?",
}

// reword puts a reason into operators' words: "notification-received code
// 6(cease) subcode 4(administrative reset)" becomes "received cease:
// administrative reset".
func reword(reason string) string {
	if words, ok := reasons[reason]; ok {
		return words
	}
	for prefix, verb := range map[string]string{"notification-received ": "received ", "notification-sent ": "sent "} {
		if codes, ok := strings.CutPrefix(reason, prefix); ok {
			code, sub, _ := strings.Cut(codes, " subcode ")
			if code, sub = bracketed(code), bracketed(sub); sub == "undefined" || sub == code {
				return verb + code
			}
			return verb + code + ": " + sub
		}
	}
	return reason
}

// bracketed is the text in the first brackets of s.
func bracketed(s string) string {
	_, s, _ = strings.Cut(s, "(")
	s, _, _ = strings.Cut(s, ")")
	return s
}

// dialFault says why a connection could not be made, without the addresses
// that the reader knows.
func dialFault(err any) string {
	if e, ok := err.(error); ok {
		var op *net.OpError
		if errors.As(e, &op) {
			return "connect: " + strings.TrimPrefix(op.Err.Error(), "connect: ")
		}
	}
	return fmt.Sprintf("connect: %v", err)
}

// line is one of GoBGP's log entries as a line of text.
func line(msg string, f log.Fields) string {
	var b strings.Builder
	if key, ok := f["Key"]; ok && f["Topic"] == "Peer" {
		fmt.Fprintf(&b, "neighbor %v: ", key)
	}
	b.WriteString(msg)
	var rest []string
	for k, v := range f {
		if k != "Key" && k != "Topic" && k != "State" {
			text := fmt.Sprint(v)
			rest = append(rest, fmt.Sprintf(" %s=%.200s", strings.ToLower(k), text))
		}
	}
	slices.Sort(rest)
	b.WriteString(strings.Join(rest, ""))
	return b.String()
}
