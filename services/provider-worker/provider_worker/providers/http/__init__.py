"""What all vendors' HTTP interfaces share: what their answers mean, how much of one is read, what they say of limits."""
