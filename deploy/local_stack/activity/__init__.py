"""What happens to runs while `make run` stands, told on its terminal."""
