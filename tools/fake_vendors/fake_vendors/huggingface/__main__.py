"""`python -m fake_vendors.huggingface`: serve on loopback until a signal."""

from fake_vendors.huggingface.server import main

if __name__ == "__main__":
    main()
