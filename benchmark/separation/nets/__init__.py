"""Networks of the literature's separators, to their papers' layer tables; no input, no output."""
