"""Networks trained here: many members of one architecture (folds, seeds), each as if it were alone."""
