"""`python -m extproc` is `headgate`."""

import sys

from extproc.cli import main

if __name__ == "__main__":
    sys.exit(main())
