"""`python -m fake_vendors.openai`: serve on loopback until a signal."""

from fake_vendors.openai.server import main

if __name__ == "__main__":
    main()
