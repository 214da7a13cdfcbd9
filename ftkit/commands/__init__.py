"""What each command does: one module each, with `run(args)` that returns the exit code."""
