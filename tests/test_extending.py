"""docs/extending.md is code that runs."""

import contextlib
import re
import sys
from pathlib import Path
from unittest import mock

import pytest
import torch

import rims_rl
from rims_rl.core import forms, registry
from rims_rl.train import main
from tests.processes import finish, start

PAGE = (Path(__file__).parent.parent / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
REGISTRIES = (registry._CORES, forms.COMMUNICATIONS, forms.SELECTIONS)

pytestmark = pytest.mark.usefixtures("in_empty_folder")


@pytest.fixture
def page(monkeypatch):
    """What the blocks of the page define, run in order with the module it says to save."""
    Path("leaky.py").write_text(BLOCKS[0])
    monkeypatch.syspath_prepend(".")
    scope = {"torch": torch, "rims_rl": rims_rl}
    with contextlib.ExitStack() as registered:
        for known in REGISTRIES:
            registered.enter_context(mock.patch.dict(known))
        for block in BLOCKS[1:]:
            exec(block.replace("100_000", "1024"), scope)  # our own page
        yield scope
    sys.modules.pop("leaky", None)


def test_the_page_runs_and_its_core_learns_and_resets(page):
    core = page["model"].policy.lstm_actor
    assert type(core).__name__ == "Leaky"
    assert core.rate.grad is not None
    assert page["output"].shape == (10, 3, 60)
    x, starts = torch.randn(6, 2, core.input_size), torch.zeros(6, 2)
    starts[3] = 1
    torch.testing.assert_close(core(x, None, starts)[0][3:], core(x[3:])[0])


def test_options_that_a_core_of_ones_own_has_not_are_refused(page):
    with pytest.raises(ValueError, match="no option num_rims: choose from hidden_size, slowest"):
        rims_rl.core.make_core("leaky", 4, {"hidden_size": 8, "num_rims": 2})
    with pytest.raises(ValueError, match="'leaky' is there already"):
        rims_rl.register_core("leaky", rims_rl.RIM)
    with pytest.raises(ValueError, match="'scaled' is there already"):
        rims_rl.register_communication("scaled", forms.COMMUNICATIONS["gated"])


def test_forms_of_ones_own_run_in_the_reference_or_say_so(page):
    for options in ({"communication": "scaled"}, {"selection": "by attention"}):
        x = torch.randn(4, 2, 5)
        plain = rims_rl.RIM(5, 12, 4, 2, backend="reference", **options)
        rim = rims_rl.RIM(5, 12, 4, 2, **options)
        rim.load_state_dict(plain.state_dict())
        torch.testing.assert_close(rim(x)[0], plain(x)[0])
        for backend in ("torch", "native"):
            with pytest.raises(ValueError, match=f"{backend}.*{next(iter(options.values()))}"):
                rims_rl.RIM(5, 12, 4, 2, backend=backend, **options)(x)


def test_the_command_line_trains_it_and_its_model_loads_in_another_process():
    Path("leaky.py").write_text(BLOCKS[0])
    command = re.search(r"```bash\npython -m rims_rl.train (.*?)\n```", PAGE, re.DOTALL)
    assert command is not None
    assert "leaky:leaky" in command[1]
    status, _, errors = finish(
        start(
            "rims_rl.train", "--env", "CartPole-v1", "--core", "leaky:leaky",
            "--core-kwargs", "{slowest: 50.0}", "--total-timesteps", "1024", "--eval-every", "0",
            "--track", "off", "--run-dir", "r",
        )
    )  # fmt: skip
    assert status == 0, errors
    status, _, errors = finish(start("rims_rl.evaluate", "r", "--episodes", "2"))
    assert status == 0, errors


def test_a_module_that_is_not_there_is_one_line(capsys):
    assert main(["--env", "CartPole-v1", "--core", "nowhere:mine", "--track", "off"]) == 2
    assert "cannot import 'nowhere'" in capsys.readouterr().err
