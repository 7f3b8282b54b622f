"""From an intent to a payload that can be reviewed. Calls no vendor."""
