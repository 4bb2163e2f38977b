"""One module for each figure: it reads results and draws; it never computes."""
