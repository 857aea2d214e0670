"""From the records of runs to what people look at: leaderboard, tables, plots, a page, a summary, a comparison."""
