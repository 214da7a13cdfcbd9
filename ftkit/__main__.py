"""`python -m ftkit`: the command line, and what `accelerate launch -m ftkit train …` starts."""

import os
import sys

from ftkit.cli import main

code = main()
if int(os.environ.get("WORLD_SIZE", "1")) > 1:
    # One of several processes: the threads that connect them can outlive the interpreter's end and abort it.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
sys.exit(code)
