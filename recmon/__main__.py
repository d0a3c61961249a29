"""Entry point of the program, as a module and in the bundle."""

from __future__ import annotations

import sys

from recmon.cli import main

if __name__ == "__main__":
    sys.exit(main())
