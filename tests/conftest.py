"""Shared by every test: the requirement marker."""
