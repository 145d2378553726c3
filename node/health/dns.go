package health

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

var queryTypes = map[string]dnsmessage.Type{
	"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "CNAME": dnsmessage.TypeCNAME,
	"MX": dnsmessage.TypeMX, "NS": dnsmessage.TypeNS, "PTR": dnsmessage.TypePTR,
	"SOA": dnsmessage.TypeSOA, "SRV": dnsmessage.TypeSRV, "TXT": dnsmessage.TypeTXT,
}

// tryDNS asks one question over UDP (RFC 1035). The server is well if it answers
// NOERROR and, where the check expects data, an answer carries it. A truncated
// answer is an answer.
func tryDNS(ctx context.Context, t *Target) error {
	query, err := question(&t.Check)
	if err != nil {
		return err
	}
	id := uint16(rand.Uint32())
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{query},
	}
	wire, err := message.Pack()
	if err != nil {
		return fmt.Errorf("query %q: %w", t.Check.Query, err)
	}
	conn, err := dial(ctx, "udp", t)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write(wire); err != nil {
		return failed("query", t, err)
	}
	answer, err := awaitAnswer(conn, id, query, t)
	if err != nil {
		return err
	}
	return judge(answer, &t.Check)
}

func question(c *Check) (dnsmessage.Question, error) {
	name, kind := c.Query, dnsmessage.TypeSOA
	if !strings.HasSuffix(name, ".") {
		name += "."
	}
	if c.QueryType != "" {
		var ok bool
		if kind, ok = queryTypes[strings.ToUpper(c.QueryType)]; !ok {
			return dnsmessage.Question{}, fmt.Errorf("query: there is no type %q", c.QueryType)
		}
	}
	packed, err := dnsmessage.NewName(name)
	if err != nil {
		return dnsmessage.Question{}, fmt.Errorf("query %q: %w", c.Query, err)
	}
	return dnsmessage.Question{Name: packed, Type: kind, Class: dnsmessage.ClassINET}, nil
}

// awaitAnswer reads past whatever is not the answer to this question: a late
// one to an earlier check from the same port, or noise.
func awaitAnswer(conn net.Conn, id uint16, query dnsmessage.Question, t *Target) (*dnsmessage.Message, error) {
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, failed("answer", t, err)
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) == nil && m.ID == id && m.Response &&
			len(m.Questions) == 1 && sameQuestion(m.Questions[0], query) {
			return &m, nil
		}
	}
}

// sameQuestion compares names without case (RFC 4343).
func sameQuestion(a, b dnsmessage.Question) bool {
	return a.Type == b.Type && a.Class == b.Class && strings.EqualFold(a.Name.String(), b.Name.String())
}

func judge(m *dnsmessage.Message, c *Check) error {
	if m.RCode != dnsmessage.RCodeSuccess {
		return fmt.Errorf("answer %s, want NOERROR", rcodeName(m.RCode))
	}
	if c.Expect == "" {
		return nil
	}
	for _, r := range m.Answers {
		if strings.EqualFold(recordData(r.Body), c.Expect) {
			return nil
		}
	}
	return fmt.Errorf("answer lacks %q", c.Expect)
}

// rcodeName is what dig calls it.
func rcodeName(code dnsmessage.RCode) string {
	names := []string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"}
	if int(code) < len(names) {
		return names[code]
	}
	return fmt.Sprintf("code %d", code)
}

// recordData is a record's data as Expect names it: an address, a host without
// its final dot, a text.
func recordData(body dnsmessage.ResourceBody) string {
	host := func(n dnsmessage.Name) string { return strings.TrimSuffix(n.String(), ".") }
	switch r := body.(type) {
	case *dnsmessage.AResource:
		return netip.AddrFrom4(r.A).String()
	case *dnsmessage.AAAAResource:
		return netip.AddrFrom16(r.AAAA).String()
	case *dnsmessage.CNAMEResource:
		return host(r.CNAME)
	case *dnsmessage.MXResource:
		return host(r.MX)
	case *dnsmessage.NSResource:
		return host(r.NS)
	case *dnsmessage.PTRResource:
		return host(r.PTR)
	case *dnsmessage.SOAResource:
		return host(r.NS)
	case *dnsmessage.SRVResource:
		return host(r.Target)
	case *dnsmessage.TXTResource:
		return strings.Join(r.TXT, "")
	}
	return ""
}
