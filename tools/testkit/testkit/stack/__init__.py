"""The services as processes, and who uses them."""
