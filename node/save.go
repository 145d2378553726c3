package node

import (
	"context"
	"fmt"
	"slices"

	"fleetlb/node/config"
)

// Load reads a director's configuration: the files, with what was done by command
// and saved laid over them. What the files have made meaningless of it is passed
// over with a warning.
func Load(path string, host config.Host) (*config.Config, error) {
	c, err := config.Load(path, host)
	if err != nil || len(c.Edits) == 0 {
		return c, err
	}
	s, lost := saved(c).over(c, host)
	laid := *s.running
	laid.Written = c.Services
	laid.Warnings = append(slices.Clip(c.Warnings), lost...)
	return &laid, nil
}

// saved is the edits of a file as changes, older than any other.
func saved(c *config.Config) (all changes) {
	for i, e := range c.Edits {
		all = append(all, Change{Edit: e, Version: uint64(i) + 1})
	}
	return all
}

// Save writes what was changed by command into a file that the configuration
// includes, so that a restart finds it there, and reads it back.
func (b backend) Save(context.Context) (string, error) {
	name, err := b.save()
	if err != nil {
		return "", err
	}
	if _, err := b.reload(); err != nil {
		return "", fmt.Errorf("%s is written, but the files cannot be loaded:\n%w", name, err)
	}
	return name, nil
}

func (d *director) save() (string, error) {
	d.changing.Lock()
	defer d.changing.Unlock()
	v, err := d.view(context.Background())
	if err != nil {
		return "", err
	}
	name, err := v.config.SavedFile()
	if err != nil {
		return "", refused("%v", err)
	}
	if err := config.WriteEdits(name, v.settings.lasting()); err != nil {
		return "", refused("%v", err)
	}
	d.log.Info("by command: saved to " + name)
	return name, nil
}

// lasting is all that was done by command, before the last save and after it, as
// edits of what the files say by themselves.
func (s *settings) lasting() (edits []config.Edit) {
	base := s.config.Services
	if s.config.Written != nil {
		base = s.config.Written
	}
	var all changes
	for _, c := range slices.Concat(saved(s.config), s.changes) {
		if c.unfit == nil {
			c.Origin = ""
			all = all.with(c, base)
		}
	}
	for _, c := range all {
		edits = append(edits, c.Edit)
	}
	return edits
}
