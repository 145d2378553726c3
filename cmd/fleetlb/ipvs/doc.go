// Package ipvs speaks ipvsadm's language with a fleetlb director: its commands
// and options, its listings to the byte where IPVS has the notion, its errors and
// exit codes where scripts depend on them.
//
// # What it maps to
//
//	-A -t 203.0.113.10:80 -s wrr        a service tcp-203.0.113.10-80, without checks
//	-a … -r 10.0.0.11:8080 -m -w 3      a server, mode nat, weight 3
//	-f 7                                the service that has tag 7
//
// Everything else is a service's and a server's keys in the configuration file,
// whose rules apply: what it refuses is refused in its words. A service that the
// file has under a name of its own is found by its address as well.
//
// # What is added
//
//	-b, --fullnat        beside -g, -i and -m: DPVS's letter for FULLNAT
//	--vip, --vips, --ports
//	                     what a service listens at beside its address
//	--fleet              change all directors of the fleet
//	--socket PATH        the director's socket
//
// # From arguments to an answer
//
// parse.go reads words into a request and refuses what no command has, check.go
// what this one has not; run.go does it; list.go, conn.go and save.go print.
package ipvs
