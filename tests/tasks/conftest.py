"""Every test of the tasks runs in an empty folder, without an account, on one thread."""

import pytest

from rims_rl.tasks import video_models


@pytest.fixture(autouse=True)
def _in_empty_folder(in_empty_folder):
    """See `in_empty_folder`."""


@pytest.fixture
def few_features(monkeypatch):
    """Gives encoders of frames few features: with the paper's, a checkpoint is of 50 MB."""
    monkeypatch.setattr(video_models, "FEATURES", 32)
