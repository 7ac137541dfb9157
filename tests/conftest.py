"""Settings for all tests, and the place where those of a command run."""

import signal

import hypothesis
import pytest
import torch

from rims_rl.tasks import parser
from rims_rl.tasks.wanted import wanted
from tests.tiny_runs import LEAST, TINY

# No test may fail because the machine is slow.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)  # tiny networks: more threads only wait for each other


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c() -> None:
    # Ignored where tests run behind `&` in a script, also by the processes that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def in_empty_folder(tmp_path, tmp_path_factory, monkeypatch):
    """An empty working folder, without an account, and one thread for processes started there."""
    monkeypatch.chdir(tmp_path)
    # W&B leaves the address of this process's service in the environment: the processes that
    # tests start shall not depend on it.
    for name in (
        "WANDB_API_KEY",
        "WANDB_IDENTITY_TOKEN_FILE",
        "WANDB_MODE",
        "WANDB_SERVICE",
        "WANDB_TAGS",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # Elsewhere: libraries keep files of their own there, which no test of what is left shall see.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def tiny():
    """Makes a model of the copying task that trains in no time."""
    return lambda **options: wanted("copying", {}, {**TINY, **options})


@pytest.fixture
def tiny_quick(monkeypatch):
    """Makes ``--quick`` of some tasks even smaller: called with options by task."""

    def shrink(options):
        shipped = parser.read_preset

        def read_preset(name):
            task, is_quick, _ = name.partition("-quick")
            return {**shipped(name), **(options.get(task, {}) if is_quick else {})}

        monkeypatch.setattr(parser, "read_preset", read_preset)

    return shrink


@pytest.fixture
def tiny_copying(tiny_quick):
    """Gives the figures of copying the least budget there is."""
    tiny_quick({"copying": LEAST})
