package health

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxOutput is how much of a command's output is kept, to find in it the reason
// for its failure. The rest is read and forgotten.
const maxOutput = 4 << 10

// tryExec runs a command: exit status 0 is well. It gets the server in
// FLEETLB_ADDRESS, FLEETLB_PORT and FLEETLB_TARGET, no standard input, and of
// our environment only PATH.
//
// It leads a process group of its own, which is killed when the command is over:
// at the timeout, and also after a good result, so that what it left behind
// cannot add up. A process that not even SIGKILL ends is waited for in hangUp:
// its failure counts in time and it is never joined by a second one.
func tryExec(ctx context.Context, t *Target) (hangUp func(), err error) {
	p, err := start(t)
	if err != nil {
		return nil, fmt.Errorf("exec: %w", err)
	}
	return p.end, p.result(ctx, t)
}

// A process is a command under way. Pipe and exit are awaited with one poll:
// os/exec alone would take two more goroutines, and a guess at how long a
// grandchild may hold the pipe.
type process struct {
	cmd    *exec.Cmd
	pidfd  int // readable once it has exited
	out    int // its output and errors, not blocking; -1 after their end
	output []byte
	reaped bool
}

func start(t *Target) (*process, error) {
	if len(t.Check.Command) == 0 {
		return nil, errors.New("no command")
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	in := os.NewFile(uintptr(pipe[1]), "pipe") // the command may find it blocking, as usual
	defer in.Close()
	unix.SetNonblock(pipe[0], true)

	p := &process{out: pipe[0], pidfd: -1}
	p.cmd = exec.Command(t.Check.Command[0], t.Check.Command[1:]...)
	p.cmd.Env = environment(t)
	p.cmd.Stdout, p.cmd.Stderr = in, in
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, PidFD: &p.pidfd}
	if err := p.cmd.Start(); err != nil {
		unix.Close(p.out)
		return nil, err
	}
	if p.pidfd < 0 {
		p.end()
		return nil, errors.New("this kernel has no pidfd")
	}
	return p, nil
}

func environment(t *Target) []string {
	path := os.Getenv("PATH")
	if path == "" {
		path = "/usr/sbin:/usr/bin:/sbin:/bin"
	}
	at := t.endpoint()
	return append([]string{
		"PATH=" + path,
		"FLEETLB_TARGET=" + t.name(),
		"FLEETLB_ADDRESS=" + at.Addr().String(),
		fmt.Sprintf("FLEETLB_PORT=%d", at.Port()),
	}, t.Check.Env...)
}

// result waits for the exit, at most until ctx is due or done.
func (p *process) result(ctx context.Context, t *Target) error {
	defer p.killWith(ctx)()
	deadline, _ := ctx.Deadline()
	for {
		fds := []unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}, {Fd: int32(p.out), Events: unix.POLLIN}}
		left := max(0, time.Until(deadline))
		n, err := unix.Poll(fds, int(left.Milliseconds())+1)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("exec: poll: %w", err)
		}
		if n > 0 {
			p.read()
		}
		if n > 0 && fds[0].Revents != 0 {
			p.killGroup() // while the unreaped leader still keeps its number
			p.reaped = true
			err := p.cmd.Wait()
			if ctx.Err() == nil { // else we ended it
				return p.verdict(err)
			}
		}
		if ctx.Err() != nil || !time.Now().Before(deadline) {
			return fmt.Errorf("exec: no result within %v", t.Check.Timeout)
		}
	}
}

// killWith kills the command, which ends the poll, when its target is no longer
// wanted. The function it returns calls that off, and waits if it is too late
// to: the pidfd must not be closed under it.
func (p *process) killWith(ctx context.Context) func() {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		unix.PidfdSendSignal(p.pidfd, unix.SIGKILL, nil, 0)
	})
	return func() {
		if !stop() {
			<-done
		}
	}
}

// read takes what the pipe holds, or some of it: a command that never stops
// talking must not keep us from looking at the clock.
func (p *process) read() {
	var chunk [4 << 10]byte
	for range 16 {
		if p.out < 0 {
			return
		}
		n, err := unix.Read(p.out, chunk[:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return
		case n <= 0:
			unix.Close(p.out)
			p.out = -1
		default:
			room := maxOutput - len(p.output)
			p.output = append(p.output, chunk[:min(n, room)]...)
		}
	}
}

// verdict adds the first line of output to what the exit says.
func (p *process) verdict(err error) error {
	if err == nil {
		return nil
	}
	for line := range strings.Lines(string(p.output)) {
		if line = strings.TrimSpace(line); line != "" {
			return fmt.Errorf("exec: %w: %s", err, line)
		}
	}
	return fmt.Errorf("exec: %w", err)
}

func (p *process) killGroup() { unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL) }

// end leaves nothing of the process.
func (p *process) end() {
	if !p.reaped {
		p.killGroup()
		p.cmd.Wait()
	}
	if p.out >= 0 {
		unix.Close(p.out)
	}
	if p.pidfd >= 0 {
		unix.Close(p.pidfd)
	}
}
