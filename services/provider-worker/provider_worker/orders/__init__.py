"""Orders: taken, claimed, kept under lease, carried out."""
