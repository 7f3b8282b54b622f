"""One call from its slot to its answer, its cancellation, its partial output."""
