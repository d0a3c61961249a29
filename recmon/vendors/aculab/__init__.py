"""Aculab Cloud: page requests of its REST API tell calls, its web services hand out recordings."""

from recmon.vendors.aculab.adapter import AculabAdapter

ADAPTER = AculabAdapter()
"""The entry for the list of vendors."""

__all__ = ["ADAPTER"]
