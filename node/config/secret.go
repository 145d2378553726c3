package config

import (
	"encoding/base64"
	"os"
	"slices"
	"strings"
)

const (
	largestSecret   = 64 << 10
	longestPassword = 80 // TCP_MD5SIG_MAXKEYLEN
	keySize         = 32
	mostKeys        = 8  // of a ring
	mostTold        = 16 // blocks that fit into what members are told of each other
)

// secretFile reads a file that holds secrets. No complaint ever quotes it.
func (l *loader) secretFile(s scope, p *place, key, name string) (string, bool) {
	if p == nil || p.bad || name == "" {
		return "", false
	}
	data, err := readFile(name, largestSecret, false)
	if err != nil {
		l.complain(s, p, "%s %s: %s", key, show(name), cause(err))
		return "", false
	}
	if info, err := os.Stat(name); err == nil && info.Mode().Perm()&0o006 != 0 {
		l.warn(p, "%s%s %s can be read or written by everybody (mode %04o); chmod 600 it", s.prefix(), key, show(name), info.Mode().Perm())
	}
	return string(data), true
}

// readPassword takes the file's one line.
func (l *loader) readPassword(s scope, p *place, n *Neighbor) {
	text, ok := l.secretFile(s, p, "password_file", n.PasswordFile)
	if !ok {
		return
	}
	password := strings.TrimRight(text, "\r\n")
	switch {
	case password == "":
		l.complain(s, p, "password_file %s is empty", show(n.PasswordFile))
	case len(password) > longestPassword:
		l.complain(s, p, "password_file %s holds %d bytes; TCP-MD5 takes %d at most", show(n.PasswordFile), len(password), longestPassword)
	case strings.ContainsAny(password, "\r\n\x00"):
		l.complain(s, p, "password_file %s holds more than one line", show(n.PasswordFile))
	}
	n.Password = Secret(password)
}

func (l *loader) verifyGossip(p *place) {
	g := l.cfg.Gossip
	if g == nil || p == nil {
		return
	}
	s := scope{sub: "gossip"}
	private := g.Bind.Addr().IsLoopback()
	for _, seed := range g.Seeds {
		private = private && seed.Addr().IsLoopback()
	}
	if p.good("bind") && (g.Bind.Addr().IsMulticast() || g.Bind.Addr().IsUnspecified()) {
		l.complain(s, p.at("bind"), "bind %s %s; the other directors need one to reach", g.Bind.Addr(), odd(g.Bind.Addr()))
	}
	if why := l.ours(g.Bind.Addr()); p.good("bind") && why != "" {
		l.complain(s, p.at("bind"), "bind %s %s, which the kernel must not have", g.Bind.Addr(), why)
	}
	if p.good("label") && !nameForm.MatchString(g.Label) {
		l.complain(s, p.at("label"), "label %s %s", show(g.Label), nameRule)
	}
	if a := g.Bind.Addr(); p.good("bind") && a.IsLinkLocalUnicast() {
		l.complain(s, p.at("bind"), "bind %s is good on one link only; the other directors need one to reach", a)
	}
	if n := len(l.cfg.Fullnat.LocalAddresses); n > mostTold {
		l.complain(s, p, "a director of a fleet has %d blocks of local_addresses at most, not %d; join neighbouring ones", mostTold, n)
	}
	if g.KeyFile == "" && p.good("bind") && !private && !p.refused("key_file") {
		l.complain(s, p, "key_file is missing; only a fleet on loopback may speak in the clear")
	}
	if text, ok := l.secretFile(s, p.at("key_file"), "key_file", g.KeyFile); ok {
		// Who has the key can speak for the fleet and end its sessions.
		if info, err := os.Stat(g.KeyFile); err == nil && info.Mode().Perm()&0o077 != 0 {
			l.complain(s, p.at("key_file"), "key_file %s is not its owner's alone (mode %04o); chmod 600 it", show(g.KeyFile), info.Mode().Perm())
		}
		l.readKeys(s, p.at("key_file"), g, text)
	}
}

// readKeys takes a base64 key from each line that is not blank or a comment.
func (l *loader) readKeys(s scope, p *place, g *Gossip, text string) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(line)
		switch {
		case err != nil || len(key) != keySize:
			l.complain(s, p, "key_file %s: line %d is not %d bytes in base64; try: head -c 32 /dev/urandom | base64", show(g.KeyFile), number, keySize)
		case len(g.Keys) == mostKeys:
			l.complain(s, p, "key_file %s holds more than %d keys; keep the one in use and the one before", show(g.KeyFile), mostKeys)
			return
		case slices.Contains(g.Keys, Secret(key)):
			l.complain(s, p, "key_file %s: line %d repeats a key", show(g.KeyFile), number)
		}
		g.Keys = append(g.Keys, Secret(key))
	}
	if len(g.Keys) == 0 {
		l.complain(s, p, "key_file %s holds no key", show(g.KeyFile))
	}
}
