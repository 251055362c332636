"""`@requirement("WACA-36")` on a test: the rule that it proves."""

import pytest


def requirement(*ids: str) -> pytest.MarkDecorator:
    """Mark a test with the IDs of the requirements that it proves."""
    return pytest.mark.requirement(*ids)
