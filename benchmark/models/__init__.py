"""Networks, a module an architecture: nets only, no input or output."""
