"""The typed parameters of the built-in job types."""
