//go:build ignore

// A flood for BenchmarkDrivers: the kernel's own test run sends it from one end of
// the wire, as fast as a core can or at a pace, and counts it at the other.

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

volatile const __u32 way_out = 0; // index of the interface
volatile const __u8 box[6] = {};  // its MAC address at the other end
__u64 gap = 0;			  // between frames, ns; 0: none
__u64 due = 0;
__u64 sent = 0;
__u64 arrived = 0;

struct packet {
	__u8 dst[6], src[6];
	__be16 type;
	__u8 version_ihl, tos;
	__be16 length, id, fragment;
	__u8 ttl, protocol;
	__be16 checksum;
	__u8 from[4], to[4];
	__be16 from_port, to_port, size, sum;
} __attribute__((packed));

// Recycled frames hold what their receiver made of them: all is written anew.
SEC("xdp")
int flood(struct xdp_md *ctx)
{
	struct packet *p = (void *)(long)ctx->data;
	if ((void *)(p + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (gap) {
		__u64 now = bpf_ktime_get_ns();
		if (now > due + 1000000)
			due = now; // what was missed is not caught up with
		if (now < due)
			return XDP_DROP;
		due += gap;
	}
	__builtin_memset(p, 0, sizeof(*p));
	for (int i = 0; i < 6; i++)
		p->dst[i] = box[i];
	p->src[0] = 2;
	p->type = bpf_htons(0x0800);
	p->version_ihl = 0x45;
	p->length = bpf_htons(46);
	p->ttl = 64;
	p->protocol = 17;
	p->checksum = bpf_htons(0x66bd);
	p->from[0] = p->to[0] = 10;
	p->from[3] = 1;
	p->to[3] = 2;
	p->from_port = bpf_htons(1024 + (sent & 127));
	p->to_port = bpf_htons(7);
	p->size = bpf_htons(26);
	sent++;
	return bpf_redirect(way_out, 0);
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	__sync_fetch_and_add(&arrived, 1);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Apache-2.0";
