"""A real browser: the machine's Chromium, headless under Playwright, with what goes wrong in its pages. It reaches loopback alone."""
