"""What servers say when they refuse: one reading, by whichever road it comes."""
