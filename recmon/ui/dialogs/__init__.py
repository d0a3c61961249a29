"""Dialogs; opened with `open()`, never run in a loop of their own."""
