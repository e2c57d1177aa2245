package config

import "strings"

// nearest gives the known name that a misspelt one most likely means, or "". The
// same name without case, a name that merely lacks its beginning, and a few wrong
// letters count.
func nearest(given string, known []string) string {
	target := fold(given)
	best, bestDistance := "", min(max(len(target)/3, 1), 4)+1
	for _, name := range known {
		candidate := fold(name)
		if strings.HasSuffix(candidate, "_"+target) && len(target) > 2 {
			return name
		}
		if d := distance(target, candidate); d < bestDistance && d < len(candidate) {
			best, bestDistance = name, d
		}
	}
	return best
}

func didYouMean(given string, known []string) string {
	if name := nearest(given, known); name != "" {
		return "did you mean " + name + "?"
	}
	return ""
}

// distance counts the letters to insert, drop, replace or swap with their
// neighbour to turn a into b. Long names are cut, as they are no misspelling.
func distance(a, b string) int {
	const limit = 100
	a, b = a[:min(len(a), limit)], b[:min(len(b), limit)]
	var before, previous, current [limit + 1]int
	for j := range len(b) + 1 {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous = previous, current
	}
	return previous[len(b)]
}
