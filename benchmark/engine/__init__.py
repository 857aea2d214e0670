"""Where work runs, what is skipped, and what failed."""
