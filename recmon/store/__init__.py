"""The database. Nothing else in the program opens it."""
