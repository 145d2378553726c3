package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// savedName is the file that what was done by command is saved in.
const savedName = "fleetlb-saved.toml"

// savedMark begins it, and is followed by a digest of the rest: what a person has
// changed since is not written over.
const savedMark = "# Written by fleetlb config save: changes by command, laid over the services of the other files. "

// SavedFile is where what was done by command is to be saved: in the directory of
// the first include pattern that will read it from there.
func (c *Config) SavedFile() (string, error) {
	for _, pattern := range c.Include {
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(c.File), pattern)
		}
		dir, last := filepath.Split(pattern)
		if reads, err := filepath.Match(last, savedName); err != nil || !reads || strings.ContainsAny(dir, `*?[`) {
			continue
		}
		return filepath.Join(dir, savedName), nil
	}
	return "", fmt.Errorf(`no include pattern of %s would read a file %s; write include = ["services/*.toml"] at its top`, c.File, savedName)
}

// WriteEdits puts edits into the file of a name, all of it or nothing.
func WriteEdits(name string, edits []Edit) error {
	if err := ours(name); err != nil {
		return err
	}
	p := &printer{}
	p.tables("edit", reflect.ValueOf(edits), "")
	text := p.out.Bytes()
	mark := []byte(savedMark + sum(text) + "\n")
	return replaceFile(name, append(mark, text...))
}

func sum(text []byte) string {
	s := sha256.Sum256(text)
	return hex.EncodeToString(s[:8])
}

// ours says why a file must not be written over; nil when there is none, or one
// that is as we have written it.
func ours(name string) error {
	data, err := readFile(name, largest, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %s", name, cause(err))
	}
	mark, text, _ := bytes.Cut(data, []byte("\n"))
	rest, marked := strings.CutPrefix(string(mark), savedMark)
	switch {
	case !marked:
		return fmt.Errorf("%s: it was not written by config save; move it away", name)
	case rest != sum(text):
		return fmt.Errorf("%s: it has been changed since config save wrote it; give it another name, or take it away", name)
	}
	return nil
}

// replaceFile writes a file so that there is either the old one or the new one,
// whenever the power goes. Until it is whole it has a name that no pattern reads.
func replaceFile(name string, data []byte) (err error) {
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("%s: %s", name, cause(err))
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
			err = fmt.Errorf("%s: %s", name, cause(err))
		}
	}()
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o640), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return err
	}
	if d, err := os.Open(dir); err == nil {
		d.Sync()
		d.Close()
	}
	return nil
}
