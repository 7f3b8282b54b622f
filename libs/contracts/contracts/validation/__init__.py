"""Values that do not validate, in words of our own: one way for problem documents, messages of sockets, settings and logs."""
