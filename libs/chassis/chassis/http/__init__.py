"""What every HTTP edge shares: health, problem documents, origins, coalesced writes."""
