package link

// The object is little-endian, as every machine this runs on, and is committed:
// only who changes steer.c needs clang and libbpf's headers.
//go:generate go tool bpf2go -target bpfel steer steer.c -- -O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
