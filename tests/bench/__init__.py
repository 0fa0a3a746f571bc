"""Measurements for developers: `python -m tests.bench`; not part of the test run."""
