package foreign

import (
	"strings"
	"testing"
)

// TestInstance: what stands in a vrrp_instance, and what it becomes beside
// defaults. The services are of 203.0.113.10, .11 and 2001:db8::10.
func TestInstance(t *testing.T) {
	const (
		services = "\nvirtual_server 203.0.113.10 80 { }\nvirtual_server 203.0.113.11 80 { }\nvirtual_server 2001:db8::10 80 { }\n"
		of3      = "global_defs { vrrp_version 3 }\n"
		head     = "vrrp_instance lan {\ninterface eth0\nvirtual_router_id 51\n"
		one      = "virtual_ipaddress { 203.0.113.10/24 }\n}\n"
		first    = `name = "lan" interface = "eth0" id = 51 `
		bare     = first + `priority = 100 vips = ["203.0.113.10"]`
	)
	for _, tt := range []struct{ name, text, want, notes string }{
		{"bare", of3 + head + one, bare, ""},
		{"of version 2 by default", head + one, bare, "line 1: vrrp_instance lan: version 3 here, and no other: set vrrp_version 3 on the other routers"},
		{"of version 3 by itself", head + "version 3\n" + one, bare, ""},
		{"of IPv6, which has no other", "vrrp_instance lan {\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress { 2001:db8::10/64 }\n}\n",
			first + `priority = 100 vips = ["2001:db8::10"]`, ""},
		{"everything", of3 + head + "state BACKUP\npriority 150\nadvert_int 0.25\npreempt_delay 30\nmcast_src_ip 10.1.0.11\nv3_checksum_as_v2\ndont_track_primary\n" + one,
			first + `priority = 150 interval = "250ms" preempt_delay = "30s" vips = ["203.0.113.10"] source = "10.1.0.11" checksum = "rfc9568"`, ""},
		{"it does not preempt", of3 + head + "nopreempt\npreempt_delay 30\n" + one, first + `priority = 100 preempt = false vips = ["203.0.113.10"]`, ""},
		{"several, and where", of3 + head + "virtual_ipaddress {\n203.0.113.11/24 dev eth1 label eth1:1\n203.0.113.10\n}\n}\n", first + `priority = 100 vips = ["203.0.113.11", "203.0.113.10"]`, ""},
		{"the owner", of3 + head + "priority 255\n" + one, first + `priority = 254 vips = ["203.0.113.10"]`,
			"line 5: vrrp_instance lan: priority 255: 254 here: 255 is for the host whose own the addresses are, and no director's are"},
		{"too slow", of3 + head + "advert_int 60\n" + one, first + `priority = 100 interval = "40.95s" vips = ["203.0.113.10"]`, "line 5: vrrp_instance lan: advert_int 60: 40.95s here"},
		{"of no service", of3 + head + "virtual_ipaddress {\n203.0.113.10\n203.0.113.12\n}\n}\n", bare,
			"line 7: vrrp_instance lan: 203.0.113.12: not carried over: it is the address of no virtual_server; take it out on the other routers too, for all must list the same"},
		{"of none at all", of3 + head + "virtual_ipaddress { 203.0.113.12\n}\n}\n", "",
			"line 5: vrrp_instance lan: 203.0.113.12: not carried over: it is the address of no virtual_server; take it out on the other routers too, for all must list the same; " +
				"line 2: vrrp_instance lan: not carried over: it holds no address of a service"},
		{"of two families", of3 + head + "virtual_ipaddress {\n203.0.113.10\n2001:db8::10\n}\n}\n", bare,
			"line 7: vrrp_instance lan: 2001:db8::10: not carried over: a group is of one family; give it one of its own on all routers"},
		{"twice", of3 + head + one + "vrrp_instance lan {\ninterface eth0\nvirtual_router_id 52\nvirtual_ipaddress {\n203.0.113.10\n203.0.113.11\n}\n}\n",
			bare + ` name = "vrrp-2" interface = "eth0" id = 52 priority = 100 vips = ["203.0.113.11"]`, "line 11: vrrp_instance lan: 203.0.113.10: not carried over: another instance has it"},
		{"one id", of3 + head + one + "vrrp_instance b {\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n203.0.113.11\n}\n}\n",
			bare, "line 7: vrrp_instance b: not carried over: another instance on eth0 has virtual_router_id 51"},
		{"no id", of3 + "vrrp_instance lan {\ninterface eth0\n" + one, "", "line 2: vrrp_instance lan: not carried over: it wants an interface, a virtual_router_id from 1 to 255 and a priority from 1 on"},
		{"what has no place", of3 + head + "authentication { auth_type PASS\nauth_pass x }\nunicast_peer { 10.1.0.2 }\ntrack_script { chk }\nnotify_master /x\ngarp_master_delay 1\n" + one, bare,
			"line 5: vrrp_instance lan: authentication: not carried over: version 3 has none (RFC 9568 §9), and here is no other; " +
				"line 7: vrrp_instance lan: unicast_peer: not carried over: advertisements are multicast here; list no peers on the other routers; " +
				"line 8: vrrp_instance lan: track_script: not carried over: a group is given away when none of its services has its quorum; health checks do the rest; " +
				"line 2: vrrp_instance lan: not carried over: notify_master, garp_master_delay"},
		{"others in its wake", of3 + "vrrp_sync_group g { group { lan } }\n" + head + one, bare,
			"line 2: vrrp_sync_group g: not carried over: each group is elected by itself; what must be at one router goes into one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			site := Keepalived(tt.text + services)
			text := site.TOML("it", nil)
			_, groups, _ := strings.Cut(text, "[[vrrp]]\n")
			groups, _, _ = strings.Cut(groups, "\n[[service]]")
			if got := strings.Join(strings.Fields(strings.ReplaceAll(groups, "[[vrrp]]", "")), " "); got != tt.want && (len(site.Groups) > 0 || tt.want != "") {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
			if len(site.Groups) == 0 != (tt.want == "") {
				t.Errorf("%d groups", len(site.Groups))
			}
			want := strings.Split(tt.notes, "; line ")
			for i, n := range want {
				if i > 0 {
					want[i] = "line " + n
				}
				if !strings.Contains(notes(site), want[i]) {
					t.Errorf("notes %q, want %q", notes(site), want[i])
				}
			}
			if tt.notes == "" && notes(site) != "" || tt.notes != "" && len(site.Notes) != len(want) {
				t.Errorf("notes %q, want %q", notes(site), tt.notes)
			}
			if _, err := load(t, text); err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		})
	}
}
