"""A step of the schema: the folders from which calls were imported with their recordings."""

ARCHIVES = """
CREATE TABLE archives (
    folder TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
"""
