"""Whether a history's decisions were allowed, judged over the history alone and apart from the core's code."""
