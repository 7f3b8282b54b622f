"""`python -m fake_vendors.replicate`: serve on loopback until a signal."""

from fake_vendors.replicate.server import main

if __name__ == "__main__":
    main()
