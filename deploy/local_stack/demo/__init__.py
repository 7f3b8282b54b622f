"""`make demo`: the story of one run on a running stack, told step by step."""
