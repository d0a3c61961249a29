"""One folder per vendor; each translates bytes into domain events and performs no IO."""
