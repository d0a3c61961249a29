"""A step of the schema: what listeners leave beside calls, notes and the seconds they heard.

Times are whole milliseconds; those of day since 1970 in UTC. A note is never altered: it is taken back by
its author, and stays. `text_key` holds folded text (`recmon.domain.conditions.fold_text`), `spans` the
stretches that were heard as JSON pairs.
"""

LISTENING = """
CREATE TABLE notes (
    number INTEGER PRIMARY KEY,
    server TEXT NOT NULL,
    native_id TEXT NOT NULL,
    recording_server TEXT NOT NULL,
    recording_locator TEXT NOT NULL,
    begun INTEGER,
    ended INTEGER,
    text TEXT NOT NULL,
    text_key TEXT NOT NULL,
    author TEXT NOT NULL,
    written_at INTEGER NOT NULL,
    removed_at INTEGER
) STRICT;

CREATE INDEX notes_of_call ON notes (server, native_id);

CREATE TRIGGER notes_stand BEFORE UPDATE OF server, native_id, recording_server, recording_locator, begun,
    ended, text, text_key, author, written_at ON notes
BEGIN
    SELECT raise(ABORT, 'a note is never altered');
END;

CREATE TRIGGER notes_stay BEFORE DELETE ON notes
BEGIN
    SELECT raise(ABORT, 'a note is never deleted');
END;

CREATE TABLE listened (
    listener TEXT NOT NULL,
    server TEXT NOT NULL,
    native_id TEXT NOT NULL,
    recording_server TEXT NOT NULL,
    recording_locator TEXT NOT NULL,
    spans TEXT NOT NULL,
    heard_ms INTEGER NOT NULL,
    length_ms INTEGER NOT NULL,
    position_ms INTEGER NOT NULL,
    listened_at INTEGER NOT NULL,
    PRIMARY KEY (listener, server, native_id, recording_server, recording_locator)
) STRICT, WITHOUT ROWID;
"""
