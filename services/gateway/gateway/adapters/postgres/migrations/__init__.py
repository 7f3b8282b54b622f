"""The migrations of the schema `views`, each a numbered file."""
