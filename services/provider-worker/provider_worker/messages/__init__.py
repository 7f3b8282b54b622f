"""The worker's messages: orders in, answers and failures out."""
