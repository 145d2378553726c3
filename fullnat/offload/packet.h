// Headers as they are in a frame, and their checksums.

struct ethernet {
	__u8 dst[6], src[6];
	__be16 type;
};

struct ipv4 {
	__u8 version_ihl, tos;
	__be16 length, id, fragment;
	__u8 ttl, protocol;
	__u16 checksum;
	__u32 src, dst;
};

struct ipv6 {
	__u8 version, flow[3];
	__be16 length;
	__u8 next, hops;
	__u64 src[2], dst[2]; // halves of addresses, 2-byte aligned: read by word
};

struct tcp {
	__be16 src, dst;
	__be32 seq, ack;
	__u8 offset, flags;
	__be16 window;
	__u16 checksum;
	__be16 urgent;
};

struct udp {
	__be16 src, dst;
	__be16 length;
	__u16 checksum;
};

static __always_inline __u16 fold(__u64 s)
{
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return s;
}

// update is packet.update: RFC 1624, equation 3.
static __always_inline __u16 update(__u16 checksum, __u64 gain)
{
	return ~fold((__u16)~checksum + gain);
}

// pseudo is the sum of the pseudo-header.
static __always_inline __u16 pseudo(const struct key *k, int v6, int protocol, __u32 len)
{
	__u64 s = (k->src.lo >> 32) + (k->dst.lo >> 32) + bpf_htons(protocol) + bpf_htons(len);
	if (v6)
		s += (k->src.lo & 0xffffffff) + (k->dst.lo & 0xffffffff) + (k->src.hi & 0xffffffff) + (k->dst.hi & 0xffffffff) +
		     (k->src.hi >> 32) + (k->dst.hi >> 32);
	return fold(s);
}

// sum adds up len bytes of the frame; -1 if it ends before. Not static, so that
// it is verified once and not with each caller.
__attribute__((noinline)) long sum(struct xdp_md *ctx, __u32 from, __u32 len)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	if (from > 128 || len >= 9 * 512)
		return -1;
	void *p = data + from;
	__u32 s = 0;
	for (int i = 0; i < 8 && len >= 512; i++) {
		if (p + 512 > end)
			return -1;
		s = bpf_csum_diff(0, 0, p, 512, s);
		p += 512;
		len -= 512;
	}
	if (len >= 512)
		return -1;
#define PART(n)                                   \
	if (len & n) {                            \
		if (p + n > end)                  \
			return -1;                \
		s = bpf_csum_diff(0, 0, p, n, s); \
		p += n;                           \
	}
	PART(256)
	PART(128)
	PART(64)
	PART(32)
	PART(16)
	PART(8)
	PART(4)
	long rest = s;
	if (len & 2) {
		if (p + 2 > end)
			return -1;
		rest += *(__u16 *)p;
		p += 2;
	}
	if (len & 1) {
		if (p + 1 > end)
			return -1;
		rest += *(__u8 *)p; // the low byte of a word as it is in memory
	}
	return rest;
}
