"""Step 1: calls, what is searched in them, and the messages behind them.

Times are whole milliseconds since 1970 in UTC. A call's id says when it happened, so that the order of ids
is the order of time and "newest first" needs no sorting (see `recmon.store.calls`).
The columns ending in `_key` hold folded texts (`recmon.domain.conditions.fold_text`, `fold_number`).
"""

FIRST = """
CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    is_over INTEGER NOT NULL,
    state TEXT NOT NULL,
    direction TEXT NOT NULL,
    happened_at INTEGER NOT NULL,
    started_at INTEGER,
    answered_at INTEGER,
    ended_at INTEGER,
    received_at INTEGER,
    duration_ms INTEGER,
    has_recording INTEGER NOT NULL,
    start_seen INTEGER NOT NULL,
    is_confirmed INTEGER NOT NULL,
    is_approximate INTEGER NOT NULL,
    server TEXT NOT NULL,
    native_id TEXT NOT NULL,
    caller_number_key TEXT NOT NULL,
    caller_name_key TEXT NOT NULL,
    callee_number_key TEXT NOT NULL,
    callee_name_key TEXT NOT NULL,
    cause_key TEXT NOT NULL,
    tags_key TEXT NOT NULL,
    caller_number TEXT NOT NULL,
    caller_name TEXT NOT NULL,
    callee_number TEXT NOT NULL,
    callee_name TEXT NOT NULL,
    cause TEXT,
    UNIQUE (server, native_id)
) STRICT;

-- The order of finished calls without their rows: for pages far down.
CREATE INDEX calls_over ON calls (is_over);

-- What is counted without reading rows.
CREATE INDEX calls_facts ON calls (is_over, server, direction, has_recording, duration_ms);

-- What is wide and never searched stands apart, so that searches read less.
CREATE TABLE call_details (
    call_id INTEGER PRIMARY KEY REFERENCES calls (id) ON UPDATE CASCADE ON DELETE CASCADE,
    recordings TEXT NOT NULL,
    tags TEXT NOT NULL,
    cdr TEXT NOT NULL
) STRICT;

-- Numbers and names of finished calls, kept up by code: ongoing calls change often and are found without it.
-- Each text stands between a start and an end mark (recmon.store.searching).
CREATE VIRTUAL TABLE call_words USING fts5 (
    caller_number, caller_name, callee_number, callee_name,
    content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1'
);

CREATE VIRTUAL TABLE call_trigrams USING fts5vocab (call_words, 'row');

CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    received_at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    server TEXT NOT NULL,
    native_id TEXT,
    stream_offset INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;

CREATE INDEX messages_of_call ON messages (server, native_id);
"""
