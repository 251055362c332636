"""Everything that touches the world: reading merchants, sending, keeping the log."""
