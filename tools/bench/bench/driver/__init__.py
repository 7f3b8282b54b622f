"""The load driver: reviewers, their HTTP connections and the watcher."""
