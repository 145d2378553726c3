package link

import "golang.org/x/sys/unix"

// precedence is the nice value of a thread that serves a queue.
const precedence = -10

// Precede has the calling thread, to which its goroutine must be locked, go
// before what the kernel receives in threads of its own, where both have one
// core. In a flood those would take half of it, for frames that nobody has time
// to carry (receive livelock); so a queue keeps more than four fifths of its peak,
// and with packet sockets nine tenths instead of six. Nobody starves: others
// still have a tenth of a core that a worker could use all of, and a worker
// without frames sleeps. At -19 it was worse, for too little was received.
//
// It needs CAP_SYS_NICE; without it all is as before.
func Precede() { unix.Setpriority(unix.PRIO_PROCESS, 0, precedence) }
