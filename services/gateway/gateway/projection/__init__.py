"""The folds of the read model: rows for lists, views for reads. Pure."""
