"""The database's schema, as the steps that lead to it.

A step is never changed once it was released; a new one is appended. `user_version` counts the steps done.
"""

from __future__ import annotations

from recmon.store.schema.archives import ARCHIVES
from recmon.store.schema.first import FIRST
from recmon.store.schema.health import HEALTH
from recmon.store.schema.hooks import HOOKS
from recmon.store.schema.listening import LISTENING
from recmon.store.schema.recordings import RECORDINGS
from recmon.store.schema.synchronisation import SYNCHRONISATION

APPLICATION_ID = 0x7265634D
"""Marks the file as this program's ("recM")."""

MIGRATIONS: tuple[str, ...] = (FIRST, ARCHIVES, SYNCHRONISATION, RECORDINGS, LISTENING, HOOKS, HEALTH)
"""SQL of each step, in order; all missing ones run in one transaction."""
