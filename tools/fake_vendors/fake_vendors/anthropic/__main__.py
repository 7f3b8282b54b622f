"""`python -m fake_vendors.anthropic`: serve on loopback until a signal."""

from fake_vendors.anthropic.server import main

if __name__ == "__main__":
    main()
