package config

import (
	"path/filepath"
	"testing"
)

// TestSyntax: the line that is wrong, and what its writer may have meant.
func TestSyntax(t *testing.T) {
	tests := []struct{ src, want string }{
		{"hold_time = 10s", `:2: hold_time 10s is not a value; write it in quotes: "10s"`},
		{"router_id = 10.1.0.1 # ours", `:2: router_id 10.1.0.1 is not a value; write it in quotes: "10.1.0.1"`},
		{"vip = 10.1.0.1:80", `:2: vip 10.1.0.1:80 is not a value; write it in quotes: "10.1.0.1:80"`},
		{"passive = Yes", `:2: passive Yes is not a value; did you mean true?`},
		{"passive = off", `:2: passive off is not a value; did you mean false?`},
		{"name: \"lb1\"", `:2: a key is followed by =, not by a colon; write name = …`},
		{"workers = 01", `:2: invalid integer "01": cannot have leading zeroes`},
		{"workers = 1__0", `:2: invalid integer "1__0": underscores must be surrounded by digits`},
		{"a = 99999999999999999999", `:2: 99999999999999999999 is out of range for int64`},
		{"name = \"lb1", `:2: strings cannot contain newlines`},
		{"name = \"lb1\\", `:2: there is no such escape in a string`},
		{"name", `:2: expected '.' or '=', but got '\n' instead`},
		{"[node", `:2: a table's name ends with ] or ]], as it began`},
		{"[[service]", `:2: a table's name ends with ] or ]], as it began`},
		{"a = [\n1,", `:2: the bracket that opens here does not close`},
		{"a = [ # never closed\n[1],", `:2: the bracket that opens here does not close`},
		{"a = \"\"\"\nnever closed", `:2: the string that begins here does not end`},
		{"name = 1\nname = 2", `:3: "name" is already set on line 2`},
		{"[node]\nname.x = 1\nname = 2", `:4: "name" is already set on line 3`},
		{"[node]\n[node]", `:3: key 'node' has already been defined`},
	}
	path := filepath.Join(t.TempDir(), "lb.toml")
	for _, tt := range tests {
		write(t, path, "# one\n"+tt.src+"\nmore = 1\n", 0o644)
		_, err := Load(path, Host{})
		if err == nil || err.Error() != path+tt.want {
			t.Errorf("%q:\n got %v\nwant %s", tt.src, err, path+tt.want)
		}
	}
}
