"""The contracts of Sayso: messages between the services and to the outside, topic names, and the fold of events to a run's view.

Pure, and Pydantic beneath it: no I/O, no client of anything, and no behaviour that decides.
"""
