"""Chat completions, whichever server speaks them."""
