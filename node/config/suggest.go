package config

import (
	"slices"
	"strings"
)

// meant ends a complaint about word with the one of the words that was probably
// meant, or with nothing.
func meant(word string, words []string) string {
	if w := nearest(word, words); w != "" {
		return `; did you mean "` + w + `"?`
	}
	return ""
}

// nearest returns the word at the smallest edit distance, at most a third of
// its length but always one slip; or else one that is a longer or shorter form
// ("warning" of "warn"); "" when there is none. The first in the list wins.
func nearest(word string, words []string) string {
	best, least := "", 1<<30
	for _, w := range words {
		limit := max(1, len(w)/3)
		if strings.EqualFold(w, word) {
			return w
		}
		if len(word)-len(w) > limit || len(w)-len(word) > limit {
			continue // also keeps a megabyte of key from costing a second
		}
		if d := distance(word, w); d <= limit && d < least {
			best, least = w, d
		}
	}
	if best != "" {
		return best
	}
	for _, w := range words {
		if min(len(w), len(word)) >= 3 && (strings.HasPrefix(w, word) || strings.HasPrefix(word, w)) {
			return w
		}
	}
	return ""
}

// distance is the number of single letters to insert, delete, change or swap
// with their neighbour that make b of a (optimal string alignment).
func distance(a, b string) int {
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			change := prev[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			cur[j] = min(change, prev[j]+1, cur[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}

// list writes words as people do: "a", "a and b", "a, b and c".
func list(words []string, last string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " " + last + " " + words[n-1]
	}
}

// sortedKeys is for maps whose order must not show.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
