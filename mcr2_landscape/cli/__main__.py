"""`python -m mcr2_landscape.cli`."""

import sys

from mcr2_landscape.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
