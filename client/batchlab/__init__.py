"""Submit, watch and retry jobs that run a batch of items to the end."""
