"""The tally: a second, tiny aggregate that starts runs as children and counts how they end. It shows what the seam promises."""
