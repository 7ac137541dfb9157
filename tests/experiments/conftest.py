"""Every test of the experiments runs in an empty folder, without an account, on one thread."""

import pytest


@pytest.fixture(autouse=True)
def _in_empty_folder(in_empty_folder):
    """See `in_empty_folder`."""
