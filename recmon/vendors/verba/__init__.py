"""Verba-like recording servers (recorder API over TCP)."""

from recmon.vendors.verba.adapter import VerbaAdapter

ADAPTER = VerbaAdapter()
"""The entry for the list of vendors."""

__all__ = ["ADAPTER"]
