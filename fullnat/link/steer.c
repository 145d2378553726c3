//go:build ignore

// Which frames are ours, and which worker's. Three programs over one set of
// addresses: fanout chooses the worker of every frame an interface receives,
// filter then lets a frame of ours into that worker's socket, no other, and guard
// keeps it from the host's own stack.

#include "ours.h"

// MAX_EXTENSIONS is how far an IPv6 header chain is followed. The worker that
// gets a frame with more of them passes it on itself.
#define MAX_EXTENSIONS 4

volatile const __u32 workers = 1;

// xxhash64, seed 0, as session.Slot computes it.
#define PRIME1 0x9E3779B185EBCA87ull
#define PRIME2 0xC2B2AE3D27D4EB4Full
#define PRIME3 0x165667B19E3779F9ull
#define PRIME4 0x85EBCA77C2B2AE63ull
#define PRIME5 0x27D4EB2F165667C5ull

static __always_inline __u64 rotl(__u64 x, int n) { return x << n | x >> (64 - n); }

static __always_inline __u64 round8(__u64 h, __u64 word)
{
	h ^= rotl(word * PRIME2, 31) * PRIME1;
	return rotl(h, 27) * PRIME1 + PRIME4;
}

static __always_inline __u64 round1(__u64 h, __u8 byte)
{
	return rotl(h ^ byte * PRIME5, 11) * PRIME1;
}

static __always_inline __u64 avalanche(__u64 h)
{
	h = (h ^ h >> 33) * PRIME2;
	h = (h ^ h >> 29) * PRIME3;
	return h ^ h >> 32;
}

// slot hashes the 19 bytes protocol, address, port (big endian).
static __always_inline __u32 slot(__u8 protocol, const struct address *a, __u16 port)
{
	__u64 h = PRIME5 + 19;
	h = round8(h, protocol | a->hi << 8);
	h = round8(h, a->hi >> 56 | a->lo << 8);
	h = round1(h, a->lo >> 56);
	h = round1(h, port >> 8);
	h = round1(h, port & 0xff);
	return avalanche(h) & 255;
}

// spread is for frames that do not tell their slot: any worker will do, but all
// fragments of one datagram must meet at the same.
static __always_inline __u32 spread(const struct address *src, const struct address *dst, __u32 id)
{
	__u64 h = src->hi ^ rotl(src->lo, 13) ^ rotl(dst->hi, 29) ^ rotl(dst->lo, 43) ^ id * PRIME3;
	return avalanche(h) & 255;
}

#define NOT_OURS (-1)

// flow_slot returns the slot of a TCP or UDP packet whose ports are at off. To an
// address that is none of ours it is ours only as a server's answer, whose
// destination is the client.
static __always_inline int flow_slot(struct __sk_buff *skb, int off, __u8 protocol, int class,
				     const struct address *src, const struct address *dst)
{
	__be16 port[2];
	if (bpf_skb_load_bytes(skb, off, port, sizeof(port)))
		return class ? (int)spread(src, dst, 0) : NOT_OURS;
	if (class == LOCAL)
		return bpf_ntohs(port[1]) & 255;
	if (class)
		return slot(protocol, src, bpf_ntohs(port[0]));
	if ((server_class(src, port[0], protocol) | server_class(src, 0, protocol)) & GATED)
		return slot(protocol, dst, bpf_ntohs(port[1]));
	return NOT_OURS;
}

// fragment_slot is the same for fragments, most of which have no ports.
static __always_inline int fragment_slot(int class, const struct address *src, const struct address *dst, __u32 id)
{
	if (!class && !(server_class(src, 0, 0) & GATED))
		return NOT_OURS;
	return spread(src, dst, id);
}

// quoted4 says whether the packet at l4 is an ICMP error about one to a server
// that has its answers or its packets pass here in a way of their own.
static __always_inline int quoted4(struct __sk_buff *skb, int l4)
{
	__u8 type;
	struct ipv4 h;
	if (bpf_skb_load_bytes(skb, l4, &type, sizeof(type)) || (type != 3 && type != 11 && type != 12))
		return 0;
	if (bpf_skb_load_bytes(skb, l4 + 8, &h, sizeof(h)))
		return 0;
	struct address dst = mapped(h.dst);
	return server_class(&dst, 0, 0);
}

// ipv4_slot returns the slot of the IPv4 packet at l3, or NOT_OURS. Unless want
// is set any slot will do.
static __always_inline int ipv4_slot(struct __sk_buff *skb, int l3, int want)
{
	struct ipv4 h;
	if (bpf_skb_load_bytes(skb, l3, &h, sizeof(h)))
		return NOT_OURS;
	struct address src = mapped(h.src), dst = mapped(h.dst);
	int l4 = l3 + (h.version_ihl & 15) * 4;
	int class = class_of(&dst);
	if (class && !want)
		return 0;
	if (h.fragment & bpf_htons(0x3fff))
		return fragment_slot(class, &src, &dst, h.id);
	if (h.protocol == TCP || h.protocol == UDP)
		return flow_slot(skb, l4, h.protocol, class, &src, &dst);
	if (class || (h.protocol == ICMP && quoted4(skb, l4)))
		return spread(&src, &dst, 0);
	return NOT_OURS;
}

struct extension {
	__u8 next, length;
	__be16 offset; // of a fragment
	__be32 id;     // of a fragment
};

// solicited returns 0 if the ICMPv6 message at l4 is a neighbour solicitation
// or advertisement of an address of ours, else NOT_OURS.
static __always_inline int solicited(struct __sk_buff *skb, int l4)
{
	struct {
		__u8 type, code;
		__be16 checksum;
		__be32 flags;
		struct address target;
	} h;
	if (bpf_skb_load_bytes(skb, l4, &h, sizeof(h)))
		return NOT_OURS;
	if (h.type != SOLICITATION && h.type != ADVERTISEMENT)
		return NOT_OURS;
	return class_of(&h.target) ? 0 : NOT_OURS;
}

// quoted6 is quoted4 for ICMPv6.
static __always_inline int quoted6(struct __sk_buff *skb, int l4)
{
	__u8 type;
	struct ipv6 h;
	if (bpf_skb_load_bytes(skb, l4, &type, sizeof(type)) || type < 1 || type > 4)
		return 0;
	if (bpf_skb_load_bytes(skb, l4 + 8, &h, sizeof(h)))
		return 0;
	return server_class(&h.dst, 0, 0);
}

// ipv6_slot is ipv4_slot for IPv6.
static __always_inline int ipv6_slot(struct __sk_buff *skb, int l3, int want)
{
	struct ipv6 h;
	if (bpf_skb_load_bytes(skb, l3, &h, sizeof(h)))
		return NOT_OURS;
	int l4 = l3 + sizeof(h);
	int class = class_of(&h.dst);
	if (h.next == ICMPV6 && (!class || skb->pkt_type != PACKET_HOST) && solicited(skb, l4) == 0)
		return 0;
	if (skb->pkt_type != PACKET_HOST)
		return NOT_OURS;
	if (class && !want)
		return 0;
	__u8 next = h.next;
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		struct extension e;
		if (next == TCP || next == UDP)
			return flow_slot(skb, l4, next, class, &h.src, &h.dst);
		if (next != HOPOPTS && next != ROUTING && next != DSTOPTS && next != FRAGMENT)
			break;
		if (bpf_skb_load_bytes(skb, l4, &e, sizeof(e)))
			break;
		if (next == FRAGMENT)
			return fragment_slot(class, &h.src, &h.dst, e.id);
		next = e.next;
		l4 += (e.length + 1) * 8;
	}
	if (class || (next == ICMPV6 && quoted6(skb, l4)))
		return spread(&h.src, &h.dst, 0);
	return NOT_OURS;
}

// arp_slot returns 0 if the ARP packet at l3 asks for an address of ours, or is
// from somebody who says that it is his.
static __always_inline int arp_slot(struct __sk_buff *skb, int l3)
{
	__be32 sender, target;
	if (bpf_skb_load_bytes(skb, l3 + 14, &sender, sizeof(sender)) ||
	    bpf_skb_load_bytes(skb, l3 + 24, &target, sizeof(target)))
		return NOT_OURS;
	struct address a = mapped(target), b = mapped(sender);
	return class_of(&a) || class_of(&b) ? 0 : NOT_OURS;
}

// slot_of returns the slot of a frame whose network header is at l3, or
// NOT_OURS. What the host itself sends, what is on its way to another host's
// MAC address, and what belongs to a VLAN is not ours.
static __always_inline int slot_of(struct __sk_buff *skb, int l3, int want)
{
	if (skb->pkt_type > PACKET_MULTICAST || skb->vlan_present)
		return NOT_OURS;
	switch (bpf_ntohs(skb->protocol)) {
	case ETH_P_IP:
		return skb->pkt_type == PACKET_HOST ? ipv4_slot(skb, l3, want) : NOT_OURS;
	case ETH_P_IPV6:
		return ipv6_slot(skb, l3, want);
	case ETH_P_ARP:
		return arp_slot(skb, l3);
	}
	return NOT_OURS;
}

// A socket's filter sees the frame from its Ethernet header on. It returns how
// many bytes to keep.
SEC("socket")
int filter(struct __sk_buff *skb)
{
	return slot_of(skb, ETH_HLEN, 0) == NOT_OURS ? 0 : -1;
}

// A fanout group's program sees it from the network header on. It returns the
// socket's position in the group.
SEC("socket")
int fanout(struct __sk_buff *skb)
{
	int s = slot_of(skb, 0, 1);
	return s == NOT_OURS ? 0 : s * workers >> 8;
}

#define TCX_NEXT (-1)
#define TCX_DROP 2

// gated_flow says whether the TCP or UDP packet whose ports are at l4 is from a
// server whose answers are ours.
static __always_inline int gated_flow(struct __sk_buff *skb, int l4, __u8 protocol, const struct address *src)
{
	__be16 port;
	if ((protocol != TCP && protocol != UDP) || bpf_skb_load_bytes(skb, l4, &port, sizeof(port)))
		return 0;
	return (server_class(src, port, protocol) | server_class(src, 0, protocol)) & GATED;
}

static __always_inline int guarded(struct __sk_buff *skb, const struct address *src, const struct address *dst,
				   int l4, __u8 protocol)
{
	if (bpf_map_lookup_elem(&hosts, dst))
		return TCX_NEXT;
	return class_of(dst) || gated_flow(skb, l4, protocol, src) ? TCX_DROP : TCX_NEXT;
}

static __always_inline int guard4(struct __sk_buff *skb)
{
	struct ipv4 h;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &h, sizeof(h)))
		return TCX_NEXT;
	struct address src = mapped(h.src), dst = mapped(h.dst);
	int later = h.fragment & bpf_htons(0x1fff); // a fragment without ports
	return guarded(skb, &src, &dst, ETH_HLEN + (h.version_ihl & 15) * 4, later ? 0 : h.protocol);
}

static __always_inline int guard6(struct __sk_buff *skb)
{
	struct ipv6 h;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &h, sizeof(h)))
		return TCX_NEXT;
	int l4 = ETH_HLEN + sizeof(h);
	__u8 next = h.next;
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		struct extension e;
		if (next != HOPOPTS && next != ROUTING && next != DSTOPTS && next != FRAGMENT)
			break;
		if (bpf_skb_load_bytes(skb, l4, &e, sizeof(e)))
			break;
		if (next == FRAGMENT && e.offset & bpf_htons(0xfff8)) {
			next = 0;
			break;
		}
		l4 += next == FRAGMENT ? 8 : (e.length + 1) * 8;
		next = e.next;
	}
	return guarded(skb, &h.src, &h.dst, l4, next);
}

// guard drops what the host would forward of what the workers carry: packets to
// our addresses, and servers' answers, which would leave a second time and in
// their own name. The sockets have had the frame before. What is for the host
// itself, as the answers to its checks, it lets through.
SEC("tcx/ingress")
int guard(struct __sk_buff *skb)
{
	if (skb->pkt_type != PACKET_HOST || skb->vlan_present)
		return TCX_NEXT;
	switch (bpf_ntohs(skb->protocol)) {
	case ETH_P_IP:
		return guard4(skb);
	case ETH_P_IPV6:
		return guard6(skb);
	}
	return TCX_NEXT;
}

char LICENSE[] SEC("license") = "Apache-2.0";
