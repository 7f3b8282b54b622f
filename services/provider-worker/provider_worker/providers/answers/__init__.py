"""What a model's answer holds, for all vendors alike: the words that each of them is translated into, and the one rule of quality."""
