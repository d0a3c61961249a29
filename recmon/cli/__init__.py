"""The command line, a front end over the services: contract.md, section 2."""

from recmon.cli.dispatch import main

__all__ = ["main"]
