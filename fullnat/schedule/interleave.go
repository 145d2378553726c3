package schedule

// interleave returns a sequence of positions in weights, n long, in which every
// prefix of k turns gives position i within one of k·wᵢ/Σw turns. It is the
// quota method of Balinski and Young (1975): among those whose share of the
// first k turns is not yet used up, the next turn goes to the one that must
// have it soonest. Ties go to the earlier position. It takes n·len(weights)
// steps; no weight is negative.
func interleave(weights []int, n int) []uint16 {
	total := sum(weights)
	if total == 0 {
		return nil
	}
	turns := make([]uint16, n)
	had := make([]int, len(weights))
	for k := range turns {
		next := -1
		for i, w := range weights {
			if had[i]*total >= w*(k+1) {
				continue // has its share, or has no weight
			}
			if next < 0 || (had[i]+1)*weights[next] < (had[next]+1)*w {
				next = i
			}
		}
		turns[k] = uint16(next)
		had[next]++
	}
	return turns
}

// reduce divides weights by their common divisor and, should their sum still be
// above limit, scales them down to about it, never to zero. It returns them and
// their sum.
func reduce(weights []int, limit int) ([]int, int) {
	divisor := 0
	for _, w := range weights {
		divisor = gcd(divisor, w)
	}
	reduced := make([]int, len(weights))
	for i, w := range weights {
		reduced[i] = w / max(divisor, 1)
	}
	total := sum(reduced)
	if total <= limit {
		return reduced, total
	}
	for i, w := range reduced {
		if w > 0 {
			reduced[i] = max(1, (w*limit+total/2)/total)
		}
	}
	return reduced, sum(reduced)
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func sum(weights []int) (total int) {
	for _, w := range weights {
		total += w
	}
	return total
}
