//go:build ignore

// The least that a device does: look at the packet's headers, as anybody must who
// wants to know its session, and send it on with other MAC addresses.

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

volatile const __u32 out = 0; // interface
volatile const __u32 station_hi = 0, own_hi = 0; // bytes 0–3 and 4–5 of addresses
volatile const __u16 station_lo = 0, own_lo = 0;

SEC("xdp")
int bare(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	if (data + 14 + 20 + 8 > end || *(__u16 *)(data + 12) != bpf_htons(0x0800) || data[14] != 0x45 ||
	    (data[23] != 6 && data[23] != 17))
		return XDP_PASS;
	*(__u32 *)data = station_hi;
	*(__u16 *)(data + 4) = station_lo;
	*(__u32 *)(data + 6) = own_hi;
	*(__u16 *)(data + 10) = own_lo;
	return bpf_redirect(out, 0);
}

char LICENSE[] SEC("license") = "Apache-2.0";
