"""A step of the schema: what is kept of each recording.

Times are whole milliseconds since 1970 in UTC.
"""

RECORDINGS = """
CREATE TABLE recordings (
    server TEXT NOT NULL,
    locator TEXT NOT NULL,
    stage TEXT NOT NULL,
    sha256 TEXT,
    size INTEGER,
    file TEXT,
    arrived_at INTEGER,
    used_at INTEGER,
    is_protected INTEGER NOT NULL DEFAULT 0,
    call_server TEXT,
    call_native_id TEXT,
    queued_at INTEGER,
    priority INTEGER NOT NULL DEFAULT 0,
    is_awaited INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    next_try_at INTEGER,
    failure_kind TEXT,
    failure_reason TEXT,
    failure_code TEXT,
    archive TEXT,
    title TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (server, locator)
) STRICT, WITHOUT ROWID;

-- The queue, without what has arrived long ago.
CREATE INDEX recordings_queued ON recordings (queued_at) WHERE queued_at IS NOT NULL;

-- Recordings that share a file.
CREATE INDEX recordings_of_file ON recordings (file) WHERE file IS NOT NULL;

-- Recordings of a call.
CREATE INDEX recordings_of_call ON recordings (call_server, call_native_id) WHERE call_server IS NOT NULL;
"""
