package ipvs

import "strings"

const versionLine = "ipvsadm v1.31 2019/12/24 (compiled with fleetlb and IPVS v1.2.1)\n"

// usage is the help of a program of that name.
func usage(program string) string {
	return versionLine + strings.ReplaceAll(usageText, "%s", program)
}

const usageText = `Usage:
  %s -A|E virtual-service [-s scheduler] [-p [timeout]] [-M netmask] [-b sched-flags] [-o]
  %s -D virtual-service
  %s -C
  %s -R
  %s -S [-n]
  %s -a|e virtual-service -r server-address [-g|-i|-m|-b] [-w weight] [-x upper] [-y lower]
  %s -d virtual-service -r server-address
  %s -L|l [virtual-service] [-n] [-c|--timeout|--daemon|--stats|--rate|--thresholds|--persistent-conn|--tun-info]
  %s -Z [virtual-service]
  %s --set tcp tcpfin udp
  %s -h

Commands, short or long:
  -A --add-service      add a service
  -E --edit-service     edit one
  -D --delete-service   delete one
  -C --clear            delete them all
  -a --add-server       add a server to a service
  -e --edit-server      edit one
  -d --delete-server    delete one
  -L -l --list          list services, connections or timeouts
  -S --save             print what -R reads
  -R --restore          do what standard input says, a command line on each line
  -Z --zero             zero the counters of a service, or of all
     --set              set timeouts in seconds; 0 leaves one as it is
  -h --help             print this

virtual-service:
  -t --tcp-service host[:port]
  -u --udp-service host[:port]
     --sctp-service host[:port]
  -f --fwmark-service mark     the service with this tag

Options:
  -s --scheduler name          rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh twos (default wlc)
  -b --sched-flags flags       of sh: sh-fallback,sh-port; of mh: mh-fallback,mh-port
  -p --persistent [seconds]    clients keep their server (default 300)
  -M --netmask mask            clients that agree in it are one
  -o --ops                     one-packet scheduling, UDP only
  -r --real-server host[:port]
  -g --gatewaying              direct routing (default)
  -i --ipip                    tunnel
  -m --masquerading            NAT
  -b --fullnat                 FULLNAT (with -a and -e)
     --tun-type type           ipip or gue (default ipip)
     --tun-port port           of a gue tunnel
  -w --weight weight           (default 1; 0: no new connections)
  -x --u-threshold count       no new connections at so many
  -y --l-threshold count       until there are fewer than these
  -n --numeric                 addresses and ports as numbers
  -c --connection              list connections
     --timeout                 list timeouts
     --stats, --rate           list what was carried; what is carried a second
  -X --exact                   numbers in full
     --thresholds, --persistent-conn, --tun-info
     --nosort                  services and servers as they come
  -6 --ipv6                    the fwmark service is of IPv6

Of fleetlb:
     --vip, --vips, --ports    what a service listens at beside its address
     --fleet                   change all directors of the fleet
     --socket path             the director's socket
`
