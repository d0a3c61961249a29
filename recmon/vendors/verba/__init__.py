"""Verba-like recording servers (recorder API over TCP)."""
