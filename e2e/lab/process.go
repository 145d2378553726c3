package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// grace is how long Stop lets a program take to end before it kills it.
const grace = 10 * time.Second

// Process is a program running on a host.
type Process struct {
	Name string
	Host *Host
	Pid  int

	log      string
	ended    chan struct{}
	err      error // how it ended; valid once ended is closed
	expected atomic.Bool
}

// Start runs a program on the host until it ends or the lab does. What it
// writes goes to a log of its own, shown by [Lab.Report].
func (h *Host) Start(name string, argv ...string) (*Process, error) {
	return h.start(name, func(*exec.Cmd) error { return nil }, argv...)
}

// start is Start with a word about the command before it runs.
func (h *Host) start(name string, prepare func(*exec.Cmd) error, argv ...string) (*Process, error) {
	cmd, err := command(argv)
	if err == nil {
		err = prepare(cmd)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", h.Name, name, err)
	}
	p := &Process{Name: name, Host: h, log: h.File(name + ".log"), ended: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = h.dir, log, log

	if err := h.onThread(func() error {
		if err := cmd.Start(); err != nil {
			return err
		}
		p.Pid = cmd.Process.Pid
		return nil
	}); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", h.Name, name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()

	h.lab.mu.Lock()
	late := h.lab.closed
	h.lab.processes = append(h.lab.processes, p)
	h.lab.mu.Unlock()
	if late { // Close has walked the list already
		p.Kill()
		return nil, fmt.Errorf("%s: %s: the lab is closed", h.Name, name)
	}
	return p, nil
}

// Run runs a program on the host to its end and returns what it wrote to
// standard output. An error carries what it wrote to standard error.
func (h *Host) Run(ctx context.Context, argv ...string) (string, error) {
	cmd, err := command(argv)
	if err != nil {
		return "", fmt.Errorf("%s: %w", h.Name, err)
	}
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = h.dir, &stdout, &stderr
	if err := h.onThread(cmd.Start); err != nil {
		return "", fmt.Errorf("%s: %s: %w", h.Name, argv[0], err)
	}
	stop := context.AfterFunc(ctx, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer stop()
	err = cmd.Wait()
	if ctx.Err() != nil {
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		said := strings.TrimSpace(stderr.String())
		if said == "" {
			said = lastLines(stdout.String(), 5)
		}
		return stdout.String(), &RunError{Host: h.Name, Argv: argv, Err: err, Stderr: said}
	}
	return stdout.String(), nil
}

// RunError is a program that did not end well.
type RunError struct {
	Host   string
	Argv   []string
	Err    error
	Stderr string
}

func (e *RunError) Error() string {
	return fmt.Sprintf("%s: %s: %v: %s", e.Host, strings.Join(e.Argv, " "), e.Err, e.Stderr)
}

func (e *RunError) Unwrap() error { return e.Err }

// ExitCode is what the program returned, -1 if it was killed.
func (e *RunError) ExitCode() int {
	var exit *exec.ExitError
	if errors.As(e.Err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// command prepares a child that is killed with the thread that starts it, and
// that has a process group of its own: Ctrl-C is for the lab, which then ends
// the rest in order.
func command(argv []string) (*exec.Cmd, error) {
	path, err := Look(argv[0])
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return cmd, nil
}

// Look finds a program, also where an ordinary user's PATH does not lead.
func Look(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/", "/usr/lib/frr/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w: `make deps` installs what the lab runs", name, exec.ErrNotFound)
}

// Stop asks the program to end, and kills it if it has not within the grace
// period.
func (p *Process) Stop() {
	p.expected.Store(true)
	p.send(p.Pid, syscall.SIGTERM)
	p.send(-p.Pid, syscall.SIGCONT) // a frozen program cannot end
	select {
	case <-p.ended:
	case <-time.After(grace):
		p.Kill()
	}
}

// Kill ends the program at once, as a crash would, and waits until it is gone.
// Its children are left to notice by themselves.
func (p *Process) Kill() {
	p.expected.Store(true)
	p.send(p.Pid, syscall.SIGKILL)
	<-p.ended
}

// Freeze stops the program in its tracks; Thaw lets it go on. Its children are
// frozen with it.
func (p *Process) Freeze() { p.send(-p.Pid, syscall.SIGSTOP) }

// Thaw undoes Freeze.
func (p *Process) Thaw() { p.send(-p.Pid, syscall.SIGCONT) }

// Signal sends one signal to the program itself.
func (p *Process) Signal(s syscall.Signal) { p.send(p.Pid, s) }

// Ended is closed when the program is gone.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait returns how the program ended: nil for exit status 0. It gives up after
// the timeout.
func (p *Process) Wait(timeout time.Duration) error {
	select {
	case <-p.ended:
		return p.err
	case <-time.After(timeout):
		return fmt.Errorf("%s still runs after %v", p, timeout)
	}
}

// Running reports whether the program has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Crashed reports whether the program ended without being asked to.
func (p *Process) Crashed() bool { return !p.Running() && !p.expected.Load() && p.err != nil }

// State says in a few words how the program is.
func (p *Process) State() string {
	switch {
	case p.Running():
		return "running"
	case p.err != nil:
		return p.err.Error()
	}
	return "ended"
}

// Log returns all that the program has written.
func (p *Process) Log() string {
	b, _ := os.ReadFile(p.log)
	return string(b)
}

// Tail returns the last n lines of the log.
func (p *Process) Tail(n int) string { return lastLines(p.Log(), n) }

func (p *Process) String() string { return fmt.Sprintf("%s[%d] on %s", p.Name, p.Pid, p.Host.Name) }

// send signals a pid, or a whole process group if negative, while the program
// runs: afterwards the number may be somebody else's.
func (p *Process) send(pid int, s syscall.Signal) {
	if p.Running() {
		syscall.Kill(pid, s)
	}
}

// Alive reports whether a process runs. One that has ended and was not waited
// for yet, perhaps by a slow init, does not.
func Alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ") // pid (name) state …
	return err == nil && !strings.HasPrefix(rest, "Z")
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
