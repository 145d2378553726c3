package config

// beyond is what the language has and this build has not: the key, the word it
// must not have ("*": any), and why. A build that learns one deletes its row.
var beyond = []struct{ path, word, because string }{
	{"dataplane.offload", "required", `this build has no flow offload; set "auto" or "off"`},
}

// unable says why this build cannot do what the file asks for; "" when it can.
func unable(path, word string) string {
	for _, b := range beyond {
		if b.path == path && (b.word == word || b.word == "*") {
			return b.because
		}
	}
	return ""
}
