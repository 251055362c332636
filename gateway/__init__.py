"""The HTTP gateway: what others call. It has no rules of its own."""
