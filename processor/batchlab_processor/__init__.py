"""Run batchlab jobs on this machine or in a container."""
