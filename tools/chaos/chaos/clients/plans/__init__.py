"""Runs whose review has rules: who does what in which order. Each plan is a generator of steps, without I/O.

No step names the answer of another client; where several race, or a clock decides, the request names every right outcome.
A plan that has times waits until all of them have come, so that the laws need no allowance for a late clock.
"""
