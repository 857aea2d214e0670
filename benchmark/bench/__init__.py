"""Timings of the parts of a run, side by side with what others use; one module a kind, each with `run(...) -> BenchReport`."""
