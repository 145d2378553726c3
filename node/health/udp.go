package health

import (
	"context"
	"fmt"
	"strings"
)

// tryUDP sends Payload, by default an empty datagram. With an Expect the server
// must answer it. Without, only an ICMP unreachable is bad news: silence is how
// most UDP services treat what they do not understand, so the check then lasts
// its whole timeout.
func tryUDP(ctx context.Context, t *Target) error {
	conn, err := dial(ctx, "udp", t)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(t.Check.Payload); err != nil {
		return failed("send", t, err)
	}
	answer := make([]byte, 64<<10) // no datagram is longer
	n, err := conn.Read(answer)
	switch {
	case err != nil && t.Check.Expect == "" && timedOut(err) && ctx.Err() == nil:
		return nil
	case err != nil:
		return failed("answer", t, err)
	case t.Check.Expect == "" || strings.Contains(string(answer[:n]), t.Check.Expect):
		return nil
	}
	return fmt.Errorf("answer lacks %q", t.Check.Expect)
}
