"""Load tests: figures as JSON lines, each with what is needed to repeat it."""
