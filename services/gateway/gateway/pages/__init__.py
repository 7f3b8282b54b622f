"""Pages for people: what waits, and the documents. Their scripts and styles come from this origin alone, where decisions are made."""
