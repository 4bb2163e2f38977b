"""The command line: parses, calls, prints."""

from mcr2_landscape.cli.program import main as main
