"""The notifier: pushes what happens to runs to those who watch them. It keeps nothing that another instance could not make again."""
