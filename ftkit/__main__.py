"""`python -m ftkit` and `accelerate launch -m ftkit`: the command line."""

import sys

from ftkit.cli import main

sys.exit(main())
