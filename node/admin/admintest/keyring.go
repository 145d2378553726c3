package admintest

import (
	"context"
	"slices"

	"fleetlb/node/admin"
)

func (d *Director) Keyring(context.Context) ([]admin.KeyHolder, error) {
	return read(d, "keyring", &d.Holders)
}

// newKey is the id of every key that is added.
const newKey = "c0ffee02"

func (d *Director) AddKey(_ context.Context, key string) ([]admin.KeyHolder, error) {
	return d.keys("keyring add", newKey, func(keys []string) []string { return append(keys, newKey) })
}

func (d *Director) UseKey(_ context.Context, id string) ([]admin.KeyHolder, error) {
	return d.keys("keyring use", id, func(keys []string) []string {
		return append([]string{id}, slices.DeleteFunc(keys, func(k string) bool { return k == id })...)
	})
}

func (d *Director) RemoveKey(_ context.Context, id string) ([]admin.KeyHolder, error) {
	return d.keys("keyring remove", id, func(keys []string) []string {
		return slices.DeleteFunc(keys, func(k string) bool { return k == id })
	})
}

// keys changes what everybody holds who can be asked.
func (d *Director) keys(what, id string, change func([]string) []string) ([]admin.KeyHolder, error) {
	leave, err := d.enter(what)
	defer leave()
	if err != nil {
		return nil, err
	}
	for i := range d.Holders {
		h := &d.Holders[i]
		if h.Error != "" {
			continue
		}
		if what != "keyring add" && !slices.Contains(h.Keys, id) {
			return nil, admin.Errorf(admin.NotFound, "nobody has key %q", id)
		}
		h.Keys = change(slices.Clone(h.Keys))
	}
	return slices.Clone(d.Holders), nil
}
