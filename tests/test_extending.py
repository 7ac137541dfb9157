"""docs/extending.md is code that runs."""

import contextlib
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, cast
from unittest import mock

import pytest
import torch

import rims_rl
from rims_rl.core import forms, registry
from rims_rl.train import main

PAGE = (Path(__file__).parent.parent / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
REGISTRIES = (registry._CORES, forms.COMMUNICATIONS, forms.SELECTIONS)

pytestmark = pytest.mark.usefixtures("in_empty_folder")


@pytest.fixture
def own_names():
    """Forgets after a test what it registered."""
    with contextlib.ExitStack() as registered:
        for known in REGISTRIES:
            registered.enter_context(mock.patch.dict(known))
        yield
    forms.WITHOUT_GRADIENT &= {"hard"}


@pytest.fixture
def page(monkeypatch, own_names):
    """Names that the blocks of the page define, run in order, beside the module it says to save."""
    Path("leaky.py").write_text(BLOCKS[0])
    monkeypatch.syspath_prepend(Path.cwd())
    scope: dict[str, Any] = {}
    for block in BLOCKS[1:]:
        shorter = block.replace("100_000", "128")
        shorter = shorter.replace("policy_kwargs=", "n_steps=16, n_epochs=1, policy_kwargs=")
        of_block: dict[str, Any] = {}  # each could be a file of its own
        exec(shorter, of_block)  # our own page
        scope |= of_block
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


LOADS = """
import sys, sb3_contrib
for folder in sys.argv[1:]:
    policy = sb3_contrib.RecurrentPPO.load(f"{folder}/model.zip", device="cpu").policy
    print(type(policy.lstm_actor).__name__, policy.core_kwargs.get("communication"))
"""


@pytest.mark.usefixtures("own_names")
def test_the_command_line_trains_both_and_models_load_in_another_process(monkeypatch):
    monkeypatch.syspath_prepend(Path.cwd())
    core, form = re.findall(r"```bash\npython -m rims_rl.train (.*?)\n```", PAGE, re.DOTALL)
    blocks = [block for block in BLOCKS if "register_communication" in block]
    assert len(blocks) == 1
    Path("leaky.py").write_text(BLOCKS[0])
    Path("myforms.py").write_text(blocks[0].partition("rim = ")[0])
    small = (
        "--hidden-size", "12", "--n-envs", "4", "--n-steps", "16", "--n-epochs", "1",
        "--total-timesteps", "64", "--eval-every", "0",
    )  # fmt: skip
    for command, folder in ((core, "r1"), (form, "r2")):
        argv = [*shlex.split(command), *small, "--track", "off", "--run-dir", folder]
        assert main(argv) == 0
    loaded = subprocess.run(
        [sys.executable, "-c", LOADS, "r1", "r2"], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == ["Leaky", "None", "RIM", "myforms:scaled"]
    for module in ("leaky", "myforms"):
        sys.modules.pop(module)


def test_a_module_that_is_not_there_is_one_line(capsys):
    assert main(["--env", "CartPole-v1", "--core", "nowhere:mine", "--track", "off"]) == 2
    assert "cannot import 'nowhere'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("core", "message"),
    [
        ("json:rim", "'rim' comes with rims_rl"),
        ("nowhere:mine", "cannot import 'nowhere'"),
        (":mine", "cannot import ''"),
        ("json:mine", "unknown core 'json:mine': choose from rim, .*module:name"),
    ],
)
def test_a_core_is_looked_for_where_its_name_says(core, message):
    with pytest.raises(ValueError, match=message):
        rims_rl.core.make_core(core, 4, {})


def test_a_form_is_looked_for_where_its_name_says():
    for form, message in (("nowhere:f", "cannot import 'nowhere'"), ("json:soft", "comes with")):
        with pytest.raises(ValueError, match=message):
            rims_rl.RIM(4, 12, selection=form)


def keep(h, message):
    return message - h


@pytest.mark.usefixtures("own_names")
def test_names_that_mean_something_else_are_refused():
    form = rims_rl.core.CommunicationForm(keep)
    for name in ("", "none", "variant", "a:b"):
        with pytest.raises(ValueError, match="core cannot be called"):
            rims_rl.register_core(name, rims_rl.RIM)
        with pytest.raises(ValueError, match="communication cannot be called"):
            rims_rl.register_communication(name, form)
        with pytest.raises(ValueError, match="selection cannot be called"):
            rims_rl.register_selection(name, forms.soft_edge)


@pytest.mark.usefixtures("own_names")
def test_what_is_registered_is_tried():
    with pytest.raises(TypeError, match="must be a CommunicationForm"):
        rims_rl.register_communication("bare", cast(Any, keep))
    with pytest.raises(ValueError, match=r"must give \(2, 3, 4\) numbers"):
        rims_rl.register_communication(
            "short", rims_rl.core.CommunicationForm(lambda h, message: h[..., :1])
        )
    for wrong in ({"outputs": 0}, {"gated": True}, {"outputs": 2, "gated": True, "own_maps": True}):
        with pytest.raises(ValueError, match=r"outputs"):
            rims_rl.core.CommunicationForm(keep, **wrong)
    with pytest.raises(ValueError, match=r"must give \(2, 3\) numbers"):
        rims_rl.register_selection("one", lambda attention, active, n, width: attention[:1])
    with pytest.raises(ValueError, match=r"must give numbers from 0 to 1"):
        rims_rl.register_selection("far", lambda attention, active, n, width: 5 * attention)
    for factory in ("rim", rims_rl.RIM(4, 12)):
        with pytest.raises(TypeError, match="a class or function"):
            rims_rl.register_core("mine", cast(Any, factory))
    with pytest.raises(ValueError, match=r"must name the core's options"):
        rims_rl.register_core("mine", lambda input_size, **options: rims_rl.RIM(4, 12))


@pytest.mark.usefixtures("own_names")
def test_a_definition_that_is_run_again_takes_its_place():
    for factor in (1.0, 2.0):

        def leap(h, message, factor=factor):
            return factor * (message - h)

        rims_rl.register_communication("leap", rims_rl.core.CommunicationForm(leap))
    assert forms.COMMUNICATIONS["leap"].change is leap
    with pytest.raises(ValueError, match="'bounded' is there already"):
        rims_rl.register_communication("bounded", forms.COMMUNICATIONS["bounded"])


@pytest.mark.usefixtures("own_names")
def test_a_selection_without_gradient_leaves_reading_to_teach_the_scores():
    def all_the_way(attention, active, num_active, width):
        return active.to(attention.dtype)

    rims_rl.register_selection("all the way", all_the_way)
    rim = rims_rl.RIM(5, 12, 4, 2, selection="all the way")
    assert rim.config.read_null
    rim(torch.randn(6, 3, 5))[0].square().sum().backward()
    assert rim.input_attention is not None
    gradient = rim.input_attention.query_weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0
    with pytest.raises(ValueError, match="read_null=False needs selection='soft'"):
        rims_rl.RIM(5, 12, 4, 2, selection="all the way", read_null=False)


@pytest.mark.usefixtures("own_names")
def test_a_selection_that_is_run_again_may_have_a_gradient_now():
    for is_hard in (True, False):

        def move(attention, active, num_active, width, is_hard=is_hard):
            return active.to(attention.dtype) if is_hard else active * attention

        rims_rl.register_selection("again", move)
        assert rims_rl.RIM(5, 12, 4, 2, selection="again").config.read_null is is_hard


class Halved(rims_rl.RIM):
    """RIMs with an option beside their own."""

    def __init__(self, input_size, hidden_size, scale=0.5, **kwargs):
        super().__init__(input_size, hidden_size, **kwargs)
        self.scale = scale


class Unsized(rims_rl.Core):
    def __init__(self, input_size):
        super().__init__()
        self.input_size, self.hidden_size = input_size, 3


class Crooked(rims_rl.Core):
    def __init__(self, input_size):
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, 3, 5

    def run(self, x, state, episode_starts):
        return x, state


@pytest.mark.usefixtures("own_names")
def test_options_of_a_core_and_of_its_parent():
    rims_rl.register_core("halved", Halved)
    known = rims_rl.core.core_options("halved")
    assert known[:2] == ("hidden_size", "scale")
    assert {"num_rims", "communication"} < set(known)
    core = rims_rl.core.make_core("halved", 4, {"hidden_size": 12, "scale": 2.0, "num_active": 2})
    assert isinstance(core, Halved)
    assert (core.scale, core.config.num_active) == (2.0, 2)


@pytest.mark.usefixtures("own_names")
def test_cores_that_break_their_contract_are_told_how():
    rims_rl.register_core("unsized", Unsized)
    with pytest.raises(TypeError, match=r"must set self\.output_size"):
        rims_rl.core.make_core("unsized", 4, {})
    with pytest.raises(ValueError, match=r"Crooked\.run must give output \(2, 3, 5\), got"):
        Crooked(4)(torch.zeros(2, 3, 4))
