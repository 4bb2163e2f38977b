"""From the stores of studies to figures: rows are read, drawn, and written beside the picture with where they come from."""
