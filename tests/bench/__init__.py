"""Performance figures: `python3 dev.py bench`. Never part of the test run."""
