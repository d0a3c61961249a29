"""Qt models and columns of the tables."""
