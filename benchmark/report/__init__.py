"""Leaderboard, tables, plots and HTML."""
