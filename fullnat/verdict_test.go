package fullnat

import "testing"

// TestVerdictWords finds for every verdict a name of its own and a help text.
func TestVerdictWords(t *testing.T) {
	names := map[string]Verdict{}
	for _, v := range Verdicts() {
		if v.Name() == "" || v.Help() == "" {
			t.Errorf("verdict %d: name %q, help %q", v, v.Name(), v.Help())
		}
		if old, taken := names[v.Name()]; taken {
			t.Errorf("verdicts %d and %d are both called %s", old, v, v.Name())
		}
		names[v.Name()] = v
	}
	for name, dropped := range map[string]bool{
		"forwarded": false, "parked": false, "originated": false, "not_ours": false,
		"no_service": true, "defect": true, "too_short": true, "jumbogram": true,
	} {
		v, ok := names[name]
		if !ok || v.Dropped() != dropped {
			t.Errorf("%s: there is one: %v; dropped: %v, want %v", name, ok, v.Dropped(), dropped)
		}
	}
}
