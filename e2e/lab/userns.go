package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// insideEnv marks the process that Enter started.
const insideEnv = "FLEETLB_LAB_USERNS"

func inUserNamespace() bool { return os.Getenv(insideEnv) != "" }

// Rootless reports whether the lab lives in a user namespace made by Enter.
func (l *Lab) Rootless() bool { return inUserNamespace() }

// Enter lets an ordinary user have a lab: it runs this program again as the
// root of new user, network and mount namespaces, and exits as that one does.
// For root it does nothing. It returns an error, with advice, where the kernel
// forbids it.
//
// All that the lab makes lives inside, so it vanishes with the program, however
// that ends.
func Enter() error {
	if inUserNamespace() {
		return settle()
	}
	if os.Geteuid() == 0 {
		return nil
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	// The death signal comes when the starting thread ends: keep it.
	runtime.LockOSThread()
	cmd.SysProcAttr.Pdeathsig = unix.SIGTERM

	// The one inside cleans up, this one waits for it. It does not mind that
	// the terminal sends Ctrl-C to both.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("user namespace: %w%s", err, advice())
	}
	go func() {
		for s := range signals {
			cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &exit) && exit.ExitCode() == settleFailed:
		return fmt.Errorf("user namespace: the kernel grants no capabilities in it%s", advice())
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		os.Exit(exit.ExitCode())
	}
	return err
}

// settleFailed is the exit status that tells the outer program to give advice:
// Ubuntu's AppArmor lets anyone make a user namespace and then use it for nothing.
const settleFailed = 77

// settle gives the new mount namespace a private /run, where network namespaces
// are named.
func settle() error {
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "")
	if err == nil {
		err = unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "user namespace: private /run:", err)
		os.Exit(settleFailed)
	}
	return nil
}

// advice says which of the known switches is in the way.
func advice() string {
	for _, s := range []struct{ path, forbids, want string }{
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"},
		{"/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=10000"},
	} {
		if b, err := os.ReadFile(s.path); err == nil && strings.TrimSpace(string(b)) == s.forbids {
			return fmt.Sprintf("; run it as root, or allow user namespaces with `sysctl -w %s`", s.want)
		}
	}
	return "; run it as root"
}
