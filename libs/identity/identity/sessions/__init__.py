"""Sessions of browsers: what a cookie holds, what is kept of it, and where."""
