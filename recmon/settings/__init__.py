"""The settings file: model, reading with every problem listed, secrets by reference."""
