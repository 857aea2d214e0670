"""Datasets: sources of files, unpacking, and the way from files and tables to clips."""
