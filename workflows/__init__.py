"""Deterministic: decide, wait, act. One lifecycle a file."""
