"""Faults done to real processes under load, and what is counted afterwards.

`make chaos` does all of them and writes RESULTS.md, `make faults` a few in a minute, `make soak` none for half an hour. A group
or a fault alone: `pytest tests/chaos/test_faults.py -k "kafka"`; its lines of the table are replaced.

People at work are `load` (with `stories`, `asking`, `watching`), what they work on is a `stage` (with its `fleet` of
services), what is done to it stands in `faults`, and what must be true in the end in `laws` and `counting`. Places
at which a service dies are its failpoints: see `chassis.failpoints`, and `faults.places` for those there are.
"""
