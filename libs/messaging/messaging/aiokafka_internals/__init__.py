"""Every name of aiokafka and FastStream that their documents do not promise. No other package of the product uses one.

`WRITTEN_FOR` are the versions that it was written for; `pyproject.toml` pins them. After an upgrade, tests/unit/messaging/test_aiokafka_internals.py
fails before all others and says which name moved.
"""

WRITTEN_FOR = {"aiokafka": "0.14", "faststream": "0.7"}
