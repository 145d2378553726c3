package config

import (
	"crypto/x509"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// PayloadBytes is what the check sends first.
func (c *Check) PayloadBytes() []byte { return textOrHex(c.Payload, c.PayloadHex) }

// ExpectBytes is what must occur in the answer; empty: anything will do.
func (c *Check) ExpectBytes() []byte { return textOrHex(c.Expect, c.ExpectHex) }

func textOrHex(text, digits string) []byte {
	if digits != "" {
		b, _ := hex.DecodeString(digits) // verified
		return b
	}
	return []byte(text)
}

// verifyCheck looks at what the file says in p; what a server's check took over
// from its service has been looked at there.
func (l *loader) verifyCheck(s scope, p *place, c *Check) {
	if p.bad || p.refused("type") {
		return
	}
	switch c.Type {
	case "http", "https":
		l.verifyHTTP(s, p, c)
	case "dns":
		l.verifyDNS(s, p, c)
	case "exec":
		l.verifyExec(s, p, c)
	case "tcp", "udp":
		l.verifyBytes(s, p, "payload", c.Payload, c.PayloadHex)
		l.verifyBytes(s, p, "expect", c.Expect, c.ExpectHex)
	}
}

func (l *loader) verifyHTTP(s scope, p *place, c *Check) {
	if u, err := url.ParseRequestURI(c.Path); p.good("path") && (err != nil || c.Path[0] != '/' || u.Host != "" || strings.ContainsAny(c.Path, " #")) {
		l.complain(s, p.at("path"), `path %s is not one such as "/health?full=1"`, show(c.Path))
	}
	if p.good("host") && c.Host != "" && !hostForm.MatchString(c.Host) {
		l.complain(s, p.at("host"), `host %s is not one such as "www.example.com"`, show(c.Host))
	}
	if p.good("status") && len(c.Status) == 0 {
		l.complain(s, p.at("status"), "status is an empty list: no answer would do")
	}
	if c.Expect != "" && c.Method == "HEAD" && !p.refused("expect") {
		l.complain(s, p.near("expect"), "expect: an answer to HEAD has no body to look in")
	}
	if p.good("tls_server_name") && c.TLSServerName != "" && (!hostForm.MatchString(c.TLSServerName) || strings.Contains(c.TLSServerName, ":")) {
		l.complain(s, p.at("tls_server_name"), "tls_server_name %s is not a host name", show(c.TLSServerName))
	}
	if p.good("tls_ca_file") && c.TLSCAFile != "" {
		l.verifyCA(s, p.at("tls_ca_file"), c)
	}
}

// largestCA holds every public authority there is, five times.
const largestCA = 1 << 20

func (l *loader) verifyCA(s scope, p *place, c *Check) {
	pem, err := readFile(c.TLSCAFile, largestCA, false)
	switch {
	case err != nil:
		l.complain(s, p, "tls_ca_file %s: %s", show(c.TLSCAFile), cause(err))
	case !x509.NewCertPool().AppendCertsFromPEM(pem):
		l.complain(s, p, "tls_ca_file %s holds no certificate", show(c.TLSCAFile))
	case !c.TLSVerify:
		l.warn(p, "%stls_ca_file is of no use without tls_verify = true", s.prefix())
	}
}

func (l *loader) verifyDNS(s scope, p *place, c *Check) {
	if p.refused("dns_name") {
		return
	}
	name := strings.TrimSuffix(c.DNSName, ".")
	if c.DNSName == "" {
		l.complain(s, p.near("dns_name"), "dns_name is missing; give one that every server can answer")
		return
	}
	ok := len(name) <= 253
	for _, label := range strings.Split(name, ".") {
		ok = ok && len(label) > 0 && len(label) <= 63 && !strings.ContainsFunc(label, func(r rune) bool { return r <= ' ' || r > '~' })
	}
	if p.good("dns_name") && !ok && c.DNSName != "." {
		l.complain(s, p.at("dns_name"), "dns_name %s is not a domain name", show(c.DNSName))
	}
}

func (l *loader) verifyExec(s scope, p *place, c *Check) {
	switch {
	case p.refused("command"):
	case len(c.Command) == 0:
		l.complain(s, p.near("command"), `command is missing; give program and arguments: ["/usr/lib/fleetlb/check-db", "-q"]`)
	case !p.good("command"):
	case strings.ContainsRune(strings.Join(c.Command, ""), 0):
		l.complain(s, p.at("command"), "command: an argument holds a zero byte")
	case !filepath.IsAbs(c.Command[0]):
		l.complain(s, p.at("command"), "command: program %s is not an absolute path", show(c.Command[0]))
	default:
		if info, err := os.Stat(c.Command[0]); err != nil {
			l.warn(p.at("command"), "%scommand: program %s: %s", s.prefix(), show(c.Command[0]), cause(err))
		} else if info.IsDir() || info.Mode()&0o111 == 0 {
			l.warn(p.at("command"), "%scommand: program %s cannot be executed", s.prefix(), show(c.Command[0]))
		}
	}
	for _, name := range sortedKeys(c.Env) {
		if at := p.at("env", name); at != nil && (name == "" || strings.ContainsAny(name, "=\x00") || strings.ContainsRune(c.Env[name], 0)) {
			l.complain(s, at, "env: %s cannot be in an environment", show(name))
		}
	}
}

// mostBytes is the most a UDP datagram holds.
const mostBytes = 65507

func (l *loader) verifyBytes(s scope, p *place, key, text, digits string) {
	if p.refused(key) || p.refused(key+"_hex") {
		return
	}
	if text != "" && digits != "" {
		l.complain(s, p.near(key+"_hex"), "%s and %s_hex exclude each other", key, key)
		return
	}
	if _, err := hex.DecodeString(digits); err != nil && p.good(key+"_hex") {
		l.complain(s, p.at(key+"_hex"), `%s_hex %s is not of the form "0001fe"`, key, show(digits))
	}
	if n := len(textOrHex(text, digits)); n > mostBytes {
		l.complain(s, p.near(key), "%s has %d bytes; %d fit into a datagram", key, n, mostBytes)
	}
}
