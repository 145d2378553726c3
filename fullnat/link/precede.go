package link

import "golang.org/x/sys/unix"

// precedence is the nice value of a thread that serves a queue.
const precedence = -10

// Precede has the calling thread, to which its goroutine must be locked, go
// before what the kernel receives in threads of its own, where both have one
// core. In a flood those would take half of it, for frames that nobody has time
// to carry (receive livelock). So packet sockets keep 76 to 95 % of their peak
// instead of some 60, and rings 74 to 84 instead of 70 to 79 (BenchmarkDrivers).
// Nobody starves: others still have a tenth of a core that a worker could use all
// of, and a worker without frames sleeps. At -19 it was no better, for too little
// was received. What else runs in the process holds a worker up less, too.
//
// It needs CAP_SYS_NICE; without it all is as before.
func Precede() { unix.Setpriority(unix.PRIO_PROCESS, 0, precedence) }
