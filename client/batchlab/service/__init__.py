"""The service on AWS: the endpoint, the dispatcher and the notifier. Needs the extra `batchlab[service]`."""
