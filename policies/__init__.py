"""May this message go, by this channel, now? Pure: every answer is a value with its reason."""
