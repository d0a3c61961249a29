"""A step of the schema: what recordings were found to be.

`verdicts` holds the words between commas, with one at either end; `facts` is JSON. Times are whole
milliseconds since 1970 in UTC.
"""

HEALTH = """
CREATE TABLE recording_health (
    server TEXT NOT NULL,
    locator TEXT NOT NULL,
    call_server TEXT NOT NULL,
    call_native_id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    verdicts TEXT NOT NULL,
    facts TEXT NOT NULL,
    judged_at INTEGER NOT NULL,
    PRIMARY KEY (server, locator)
) STRICT, WITHOUT ROWID;

CREATE INDEX health_of_call ON recording_health (call_server, call_native_id);
"""
