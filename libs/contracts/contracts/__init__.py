"""What the services of Sayso say to each other and to the outside.

Models, topic names and the one fold that turns events into the run's view. No behaviour that decides anything, and no I/O (`messaging` aside).
"""
