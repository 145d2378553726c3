package traffic

// The object is little-endian, as every machine this runs on, and is committed:
// only who changes the programs needs clang and libbpf's headers.
//go:generate go tool bpf2go -target bpfel -no-global-types traffic traffic.c -- -O2 -g -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
