"""The README and the docs say what is so."""

import csv
import re
from pathlib import Path
from typing import Any

from rims_rl.train import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 2
    scope: dict[str, Any] = {}
    for block in blocks:
        # The same code on fewer steps, epochs and environments.
        shorter = (
            block.replace("100_000", "256")
            .replace("1_000", "10")
            .replace("n_envs=8", "n_envs=2")
            .replace("policy_kwargs=", "n_epochs=1, policy_kwargs=")
        )
        exec(shorter, scope)  # our own README
    assert scope["output"].shape == (10, 3, 60)
    assert (tmp_path / "pong.zip").exists()


def test_every_file_it_names_is_there():
    links = re.findall(r"\]\((?!http|#)([^)#]+)(?:#([^)]+))?\)", README)
    assert links
    for name, anchor in links:
        assert (ROOT / name).exists(), name
        if anchor:
            headings = re.findall(r"^#+ (.+)$", (ROOT / name).read_text("utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in headings]
            assert anchor in anchors, f"{name}#{anchor}"


def test_every_logged_metric_is_explained(tmp_path):
    run = tmp_path / "run"
    arguments = {
        "--env": "rims_rl/PickupDistractorsSmall-v0", "--n-steps": "64", "--run-dir": str(run),
        "--total-timesteps": "2048", "--eval-every": "1024", "--eval-episodes": "2",
        "--track": "off",
    }  # fmt: skip
    status = main([word for pair in arguments.items() for word in pair])
    assert status == 0
    explained = set(re.findall(r"`([a-z_]+/[a-z_]+)`", (ROOT / "docs/metrics.md").read_text()))
    with open(run / "progress.csv", newline="") as file:
        logged = {re.sub(r"active_\d+$", "active_", name) for name in next(csv.reader(file))}
    assert logged - explained <= {"rim/active_"}
    assert "rollout/success_rate" in logged
