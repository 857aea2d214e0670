"""Schemas of the YAML files, their loading, and content keys."""
