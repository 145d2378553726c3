package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"fleetlb/e2e/lab"
)

// demo is the story's stage.
type demo struct {
	*screen
	site    *lab.Site
	lb      *lab.Director
	servers []*lab.Process
	crowd   *lab.Crowd
	broken  int // of the crowd, so far
}

// step is one scene: what is about to be shown, and the showing.
type step struct {
	title string
	play  func(*demo) error
}

// sceneTime bounds a scene, so that the demo ends whatever happens.
const sceneTime = 30 * time.Second

func (d *demo) play(story []step) error {
	for _, s := range story {
		d.title(s.title)
		done := make(chan error, 1)
		go func() { done <- d.scene(s) }()
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("%s: %w", s.title, err)
			}
		case <-time.After(sceneTime):
			return fmt.Errorf("%s: not done after %v", s.title, sceneTime)
		}
	}
	return nil
}

// scene plays one step. A panic must not end the program before the lab is
// closed.
func (d *demo) scene(s step) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return s.play(d)
}

// fleetlb shows a command of the operator and what it answers.
func (d *demo) fleetlb(args ...string) error {
	out, err := d.lb.CLI(args...)
	if err != nil {
		return err
	}
	d.command("fleetlb "+strings.Join(args, " "), out)
	return nil
}

// requests sends n requests over new connections, half of them over IPv6, and
// shows who answered.
func (d *demo) requests(n int) (answers map[string]int, err error) {
	answers = make(map[string]int)
	for _, vip := range []string{d.site.VIP4, "[" + d.site.VIP6 + "]"} {
		some, err := d.site.Clients[0].AskMany(context.Background(), "http://"+vip+"/", n/2)
		for server, count := range some {
			answers[server] += count
		}
		if err != nil {
			return answers, err
		}
	}
	d.showAnswers(answers)
	return answers, nil
}

func (d *demo) showAnswers(answers map[string]int) {
	rows := [][]string{{"SERVER", "WEIGHT", "ANSWERED", ""}}
	for i, s := range d.site.Servers {
		n := answers[s.Name]
		rows = append(rows, []string{s.Name, strconv.Itoa(weights[i]), strconv.Itoa(n), strings.Repeat("#", (n+1)/2)})
	}
	d.table(rows...)
}

// servicesTOML is the fleet's services file of the demo.
func (d *demo) servicesTOML() string {
	var b strings.Builder
	for _, s := range []struct {
		name, vip string
		port      int
		v6        bool
	}{
		{"web", d.site.VIP4 + ":80", lab.HTTPPort, false},
		{"web6", "[" + d.site.VIP6 + "]:80", lab.HTTPPort, true},
		{"echo", d.site.VIP4 + ":7007", lab.EchoPort, false},
	} {
		fmt.Fprintf(&b, `[[service]]
name = %q
vip = %q
protocol = "tcp"
scheduler = "wrr"
  [service.check]
  type = "http"
  path = "/healthz"
  port = %d
  interval = "300ms"
  timeout = "1s"
  fall = 2
  rise = 2
`, s.name, s.vip, lab.HTTPPort)
		for i := range d.site.Servers {
			fmt.Fprintf(&b, "  [[service.server]]\n  address = %q\n  weight = %d\n",
				lab.ServerAddress(i+1, s.port, s.v6), weights[i])
		}
	}
	return b.String()
}
