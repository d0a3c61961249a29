"""A step of the schema: what web hooks bring besides calls.

Times are whole milliseconds since 1970 in UTC. Texts that are searched stand in a column ending in `_key`.
"""

HOOKS = """
ALTER TABLE calls ADD COLUMN is_reconstructed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN has_transcript INTEGER NOT NULL DEFAULT 0;

-- What was taken in already, so that a delivery that comes again counts once, also after a restart.
CREATE TABLE hook_deliveries (
    server TEXT NOT NULL,
    digest BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (server, digest)
) STRICT, WITHOUT ROWID;

CREATE INDEX hook_deliveries_age ON hook_deliveries (received_at);

-- The calls that share a vendor's id of a whole conversation.
CREATE TABLE hook_runs (
    server TEXT NOT NULL,
    run TEXT NOT NULL,
    native_id TEXT NOT NULL,
    told_at INTEGER NOT NULL,
    PRIMARY KEY (server, run, native_id)
) STRICT, WITHOUT ROWID;

-- Under which id a call is kept that was known before its server told its own id.
CREATE TABLE hook_aliases (
    server TEXT NOT NULL,
    native_id TEXT NOT NULL,
    kept_as TEXT NOT NULL,
    told_at INTEGER NOT NULL,
    PRIMARY KEY (server, native_id)
) STRICT, WITHOUT ROWID;

-- Recordings of which nothing tells whose they are, or whose call is not known yet.
CREATE TABLE unattached_recordings (
    server TEXT NOT NULL,
    recording_id TEXT NOT NULL,
    native_id TEXT NOT NULL,
    run TEXT NOT NULL,
    caller TEXT NOT NULL,
    callee TEXT NOT NULL,
    direction TEXT NOT NULL,
    stage TEXT NOT NULL,
    locator TEXT,
    duration_ms INTEGER,
    reason TEXT,
    why TEXT NOT NULL,
    is_ambiguous INTEGER NOT NULL,
    told_at INTEGER NOT NULL,
    PRIMARY KEY (server, recording_id)
) STRICT, WITHOUT ROWID;

-- What was said in calls. A phrase that waits for its call has an empty native_id, and the run.
CREATE TABLE transcript_phrases (
    id INTEGER PRIMARY KEY,
    server TEXT NOT NULL,
    native_id TEXT NOT NULL,
    run TEXT NOT NULL,
    transcript_id TEXT NOT NULL,
    side TEXT,
    text TEXT NOT NULL,
    text_key TEXT NOT NULL,
    is_final INTEGER NOT NULL,
    confidence REAL,
    start_ms INTEGER,
    end_ms INTEGER,
    told_at INTEGER NOT NULL
) STRICT;

CREATE INDEX transcript_phrases_of_call ON transcript_phrases (server, native_id);

CREATE VIRTUAL TABLE transcript_words USING fts5 (
    text, content = '', contentless_delete = 1, tokenize = 'trigram case_sensitive 1'
);
"""
