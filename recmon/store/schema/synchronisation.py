"""A step of the schema: how far the history of servers was brought.

Times are whole milliseconds since 1970 in UTC. The spans of one server neither touch nor overlap.
"""

SYNCHRONISATION = """
CREATE TABLE synchronised_spans (
    server TEXT NOT NULL,
    begun INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    PRIMARY KEY (server, begun)
) STRICT, WITHOUT ROWID;

-- Where in the rows of one search a server's synchronisation stands.
CREATE TABLE synchronisation_points (
    server TEXT PRIMARY KEY,
    window_begun INTEGER NOT NULL,
    window_ended INTEGER NOT NULL,
    first_row INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""
