"""AWS Batch from the outside: handing jobs over, looking at them, and why one is not running."""
