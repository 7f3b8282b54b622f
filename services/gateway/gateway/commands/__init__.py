"""Commands out, outcomes back."""
