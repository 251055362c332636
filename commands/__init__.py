"""The `carillon` command, one file a group."""
