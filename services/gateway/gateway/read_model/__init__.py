"""The read model at work: projected, followed, waited for, and what was answered a moment ago."""
