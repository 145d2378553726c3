//go:build ignore

// What a packet of a lifted session costs, and what the least costs that one
// could do: for BenchmarkProgram.

#include "flows.c"

struct packet {
	__u8 bytes[64];
};
TABLE(packets, struct packet);

volatile const __u32 packet_mask = 0;
__u32 turn = 0;

// fill makes the frame one of the packets, another each time.
static __always_inline int fill(void *data, void *end)
{
	turn = turn * 1664525 + 1013904223;
	__u32 i = turn >> 7 & packet_mask;
	struct packet *p = bpf_map_lookup_elem(&packets, &i);
	if (!p || data + sizeof(*p) > end)
		return 0;
	__builtin_memcpy(data, p, sizeof(*p));
	return 1;
}

SEC("xdp.frags")
int lifted(struct xdp_md *ctx)
{
	if (!fill((void *)(long)ctx->data, (void *)(long)ctx->data_end))
		return XDP_ABORTED;
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
