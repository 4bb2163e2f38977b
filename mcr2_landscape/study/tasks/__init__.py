"""The tasks of this project. Data alone: a task's function is imported when a study calls it."""
