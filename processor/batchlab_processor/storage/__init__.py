"""One module per scheme, the same verbs on each."""
