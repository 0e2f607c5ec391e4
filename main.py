"""Mutoscope: turn the crank, watch the model change."""

import sys

from app.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
