"""Adapters, a module a family: weights + front end + net -> frames and clip vectors."""
