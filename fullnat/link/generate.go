package link

// The objects are little-endian, as every machine this runs on, and are
// committed: only who changes them needs clang and libbpf's headers.
//go:generate go tool bpf2go -target bpfel steer steer.c -- -O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -target bpfel -type site express express.c -- -O2 -g -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
