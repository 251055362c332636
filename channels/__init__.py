"""The ways out: one small file a provider, one error class, no rules."""
