package rig

//go:generate go tool bpf2go -target bpfel -no-global-types bare bare.c -- -O2 -g -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
