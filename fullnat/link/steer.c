//go:build ignore

// Which frames are ours, and which worker's. Two programs over one set of
// addresses: fanout chooses the worker of every frame an interface receives,
// filter then lets a frame of ours into that worker's socket, no other.

#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETH_HLEN 14
#define ETH_P_IP 0x0800
#define ETH_P_ARP 0x0806
#define ETH_P_IPV6 0x86dd

enum { HOPOPTS = 0, TCP = 6, UDP = 17, ROUTING = 43, FRAGMENT = 44, ICMPV6 = 58, DSTOPTS = 60 };
enum { SOLICITATION = 135, ADVERTISEMENT = 136 };

// MAX_EXTENSIONS is how far an IPv6 header chain is followed. The worker that
// gets a frame with more of them passes it on itself.
#define MAX_EXTENSIONS 4

// What an address is to us.
enum { VIP = 1, LOCAL = 2 };

struct address {
	__u64 hi, lo; // bytes 0–7 and 8–15 of the 16, as they are in memory; IPv4 as ::ffff:a.b.c.d
};

struct prefix {
	__u32 bits;
	__u8 address[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, __u32);
} ours SEC(".maps");

volatile const __u32 workers = 1;

static __always_inline int class_of(const struct address *a)
{
	struct prefix key = { .bits = 128 };
	__builtin_memcpy(key.address, a, sizeof(key.address));
	__u32 *class = bpf_map_lookup_elem(&ours, &key);
	return class ? *class : 0;
}

static __always_inline struct address mapped(__u32 v4)
{
	return (struct address){ .lo = 0xffff0000ull | (__u64)v4 << 32 };
}

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

// flow_slot returns the slot of a TCP or UDP packet whose ports are at off.
static __always_inline __u32 flow_slot(struct __sk_buff *skb, int off, __u8 protocol, int class,
				       const struct address *src, const struct address *dst)
{
	__be16 port[2];
	if (bpf_skb_load_bytes(skb, off, port, sizeof(port)))
		return spread(src, dst, 0);
	if (class == LOCAL)
		return bpf_ntohs(port[1]) & 255;
	return slot(protocol, src, bpf_ntohs(port[0]));
}

#define NOT_OURS (-1)

struct ipv4 {
	__u8 version_ihl, tos;
	__be16 length, id, fragment;
	__u8 ttl, protocol;
	__be16 checksum;
	__be32 src, dst;
};

// ipv4_slot returns the slot of the IPv4 packet at l3, or NOT_OURS. Unless want
// is set any slot will do.
static __always_inline int ipv4_slot(struct __sk_buff *skb, int l3, int want)
{
	struct ipv4 h;
	if (bpf_skb_load_bytes(skb, l3, &h, sizeof(h)))
		return NOT_OURS;
	struct address dst = mapped(h.dst);
	int class = class_of(&dst);
	if (!class)
		return NOT_OURS;
	if (!want)
		return 0;
	struct address src = mapped(h.src);
	if (h.fragment & bpf_htons(0x3fff))
		return spread(&src, &dst, h.id);
	if (h.protocol != TCP && h.protocol != UDP)
		return spread(&src, &dst, 0);
	return flow_slot(skb, l3 + (h.version_ihl & 15) * 4, h.protocol, class, &src, &dst);
}

struct ipv6 {
	__be32 flow;
	__be16 length;
	__u8 next, hops;
	struct address src, dst;
};

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

// ipv6_slot is ipv4_slot for IPv6.
static __always_inline int ipv6_slot(struct __sk_buff *skb, int l3, int want)
{
	struct ipv6 h;
	if (bpf_skb_load_bytes(skb, l3, &h, sizeof(h)))
		return NOT_OURS;
	int l4 = l3 + sizeof(h);
	int class = class_of(&h.dst);
	if (!class || skb->pkt_type != PACKET_HOST)
		return h.next == ICMPV6 ? solicited(skb, l4) : NOT_OURS;
	if (!want)
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
			return spread(&h.src, &h.dst, e.id);
		next = e.next;
		l4 += (e.length + 1) * 8;
	}
	return spread(&h.src, &h.dst, 0);
}

// arp_slot returns 0 if the target of the ARP packet at l3 is ours.
static __always_inline int arp_slot(struct __sk_buff *skb, int l3)
{
	__be32 target;
	if (bpf_skb_load_bytes(skb, l3 + 24, &target, sizeof(target)))
		return NOT_OURS;
	struct address a = mapped(target);
	return class_of(&a) ? 0 : NOT_OURS;
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

char LICENSE[] SEC("license") = "Apache-2.0";
