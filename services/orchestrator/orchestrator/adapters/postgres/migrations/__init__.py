"""The schema `ledger`, step by step."""
