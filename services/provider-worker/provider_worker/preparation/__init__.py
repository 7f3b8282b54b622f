"""From an intent to a payload that can be reviewed. Makes no call."""
