package gossip

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
)

// writeKeys replaces a key file as a whole: whoever reads it, and whenever the
// machine fails, it is the old one or the new one. It is its owner's alone.
func writeKeys(path string, keys [][]byte) error {
	if path == "" {
		return nil
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	text := "# Keys of the fleet's gossip, the one sent with first. Written by fleetlbd.\n"
	for _, k := range keys {
		text += base64.StdEncoding.EncodeToString(k) + "\n"
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename last.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
