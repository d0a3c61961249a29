"""recmon: watch recorded calls live, search past ones, and play their recordings."""

__version__ = "0.1.0"
