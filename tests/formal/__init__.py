"""Formal proofs of single blocks: `python -m tests.formal`, or `make formal`."""
