"""Child processes: started, restarted, their logs and the folder of their data. Knows nothing of what they are."""
