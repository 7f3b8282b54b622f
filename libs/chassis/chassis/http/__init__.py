"""What every HTTP edge shares: health, problem documents, the guard of names and pages, coalesced writes."""
