// Headers and sums, as they are in memory: words of checksums are never swapped.

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define ETH_HLEN 14
#define ETH_P_IP 0x0800
#define TTL 64

enum { TCP = 6, UDP = 17 };

struct ethernet {
	__u8 dst[6], src[6];
	__be16 type;
} __attribute__((packed));

struct ipv4 {
	__u8 version_ihl, tos;
	__be16 length, id, fragment;
	__u8 ttl, protocol;
	__u16 checksum;
	__be32 src, dst;
} __attribute__((packed));

struct udp {
	__be16 src, dst, length;
	__u16 checksum;
} __attribute__((packed));

struct tcp {
	__be16 src, dst;
	__be32 seq, ack;
	__u8 offset, flags;
	__be16 window;
	__u16 checksum;
	__be16 urgent;
} __attribute__((packed));

static __always_inline __u16 fold(__u64 s)
{
	s = (s & 0xffffffff) + (s >> 32);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return s;
}

static __always_inline __u64 header_sum(const struct ipv4 *ip)
{
	const __u32 *w = (const void *)ip;
	return (__u64)w[0] + w[1] + w[2] + w[3] + w[4];
}

static __always_inline __u64 pseudo(const struct ipv4 *ip, __u32 len)
{
	return (__u64)ip->src + ip->dst + bpf_htons(ip->protocol) + bpf_htons(len);
}

static __always_inline void write_ip(struct ipv4 *ip, __u8 protocol, __u32 len, __be32 src, __be32 dst)
{
	ip->version_ihl = 0x45;
	ip->tos = 0;
	ip->length = bpf_htons(sizeof(*ip) + len);
	ip->id = 0;
	ip->fragment = bpf_htons(0x4000); // not to be cut, so the id may be anything (RFC 6864)
	ip->ttl = TTL;
	ip->protocol = protocol;
	ip->checksum = 0;
	ip->src = src;
	ip->dst = dst;
	ip->checksum = ~fold(header_sum(ip));
}

// sum adds up len bytes of the frame; -1 if it ends before. Not static, so that
// it is verified once and not with each caller.
__attribute__((noinline)) long sum(struct xdp_md *ctx, __u32 from, __u32 len)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	if (from > 128 || len >= 2048)
		return -1;
	void *p = data + from;
	__u32 s = 0;
#define PART(n)                                   \
	if (len & n) {                            \
		if (p + n > end)                  \
			return -1;                \
		s = bpf_csum_diff(0, 0, p, n, s); \
		p += n;                           \
	}
	PART(512)
	PART(256)
	PART(128)
	PART(64)
	PART(32)
	PART(16)
	PART(8)
	PART(4)
	if (len & 1024) {
		if (p + 1024 > end)
			return -1;
		s = bpf_csum_diff(0, 0, p, 512, s);
		s = bpf_csum_diff(0, 0, p + 512, 512, s);
		p += 1024;
	}
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

// resize gives the frame another length; what follows must look for its ends anew.
static __always_inline int resize(struct xdp_md *ctx, __u32 len)
{
	long more = (long)len - ((long)ctx->data_end - (long)ctx->data);
	return more ? bpf_xdp_adjust_tail(ctx, more) : 0;
}
