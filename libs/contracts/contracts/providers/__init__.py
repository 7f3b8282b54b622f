"""The contracts about providers: capabilities, orders, calls and their results."""
