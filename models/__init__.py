"""The domain, pure: facts in, agenda out. Nothing here waits, reads a clock or touches the world."""
