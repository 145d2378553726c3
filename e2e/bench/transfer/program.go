package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A daemon is a program that runs until it is ended.
type daemon struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// start runs a program on a host, on a core, until the site closes.
func (s *Site) start(host string, core int, argv ...string) (*daemon, error) {
	d := &daemon{log: filepath.Join(s.dir, host+".log"), ended: make(chan struct{})}
	log, err := os.Create(d.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	argv = append([]string{"netns", "exec", s.network(host), "taskset", "-c", strconv.Itoa(core)}, argv...)
	d.cmd = exec.Command("ip", argv...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		d.cmd.Wait()
		close(d.ended)
	}()
	s.daemons = append(s.daemons, d)
	return d, nil
}

// end asks the program to end, and kills it if it has not within three seconds.
func (d *daemon) end() {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-d.ended:
			return // its number may be another's by now
		default:
			syscall.Kill(-d.cmd.Process.Pid, signal)
		}
		select {
		case <-d.ended:
		case <-time.After(3 * time.Second):
		}
	}
}

// lastWords is the last line the program wrote.
func (d *daemon) lastWords() string {
	b, _ := os.ReadFile(d.log)
	b = bytes.TrimSpace(b)
	return string(b[bytes.LastIndexByte(b, '\n')+1:])
}

// run runs a program to its end. An error says what it wrote, in one line.
func run(ctx context.Context, argv ...string) (string, error) {
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us, who then end the rest
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.Join(strings.Fields(said.String()), " "))
	}
	return out.String(), err
}
