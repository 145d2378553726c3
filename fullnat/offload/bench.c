//go:build ignore

// What a packet of a lifted session costs, and what the least costs that one
// could do: for BenchmarkProgram.

#include "flows.c"

volatile const __u32 sessions = 1;
__u64 turn = 0;

#define BURST 64 // of packets that come one way: what a driver hands over at once

// A datagram of no data whose checksums, but for IP's, are wrong.
struct packet {
	struct ethernet e;
	struct ipv4 ip;
	struct udp udp;
} __attribute__((packed, aligned(2)));

// fill makes the frame one of the packets: clients' of as many sessions, at
// random, as a burst is, then what their servers answer. See flowOfBench.
static __always_inline int fill(void *data, void *end)
{
	struct packet *p = data;
	if ((void *)(p + 1) > end)
		return 0;
	__u64 t = turn++;
	__u64 lot = (t / (2 * BURST) * BURST + t % BURST + 1) * PRIME1;
	lot = (lot ^ lot >> 32) * PRIME2 >> 32;
	__u32 n = (lot * sessions >> 32) + 1;
	__u32 client = n * 0x9E3779B1;
	__u32 src = 10 << 24 | client >> 8, dst = 0xcb007150;
	__u32 from = (client & 0xff) + 1024, to = 443;
	if (t / BURST & 1) {
		src = 0xac100000 | (n & 15);
		dst = 0xc0a80000 | n >> 16;
		from = 8443;
		to = n & 0xffff;
	}
	*(__u32 *)p->e.dst = own_mac_hi;
	*(__u16 *)(p->e.dst + 4) = own_mac_lo;
	*(__u32 *)p->e.src = own_mac_hi;
	*(__u16 *)(p->e.src + 4) = 0x0900;
	p->e.type = bpf_htons(ETH_P_IP);
	__u32 *w = (void *)&p->ip;
	w[0] = bpf_htonl(0x45000000 | sizeof(p->ip) + sizeof(p->udp));
	w[1] = 0;
	w[2] = bpf_htonl(64 << 24 | UDP << 16);
	w[3] = bpf_htonl(src);
	w[4] = bpf_htonl(dst);
	p->ip.checksum = ~fold((__u64)w[0] + w[2] + w[3] + w[4]);
	p->udp.src = bpf_htons(from);
	p->udp.dst = bpf_htons(to);
	p->udp.length = bpf_htons(sizeof(p->udp));
	p->udp.checksum = 0x1234;
	return 1;
}

SEC("xdp.frags")
int lifted(struct xdp_md *ctx)
{
	if (!fill((void *)(long)ctx->data, (void *)(long)ctx->data_end))
		return XDP_ABORTED;
	__u32 zero = 0; // time passes, as it does for many sessions
	struct control *now = bpf_map_lookup_elem(&control, &zero);
	if (now)
		now->tick = turn / (2 * BURST);
	return frame(ctx);
}

SEC("xdp.frags")
int bare(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	if (!fill(data, end))
		return XDP_ABORTED;
	struct ethernet *e = data;
	struct ipv4 *ip = data + ETH_HLEN;
	if ((void *)(ip + 1) > end)
		return XDP_ABORTED;
	__u8 mac[6];
	__builtin_memcpy(mac, e->dst, 6);
	__builtin_memcpy(e->dst, e->src, 6);
	__builtin_memcpy(e->src, mac, 6);
	ip->ttl--;
	ip->checksum = update(ip->checksum, 0xfffe);
	return XDP_TX;
}
