"""W&B never asks for a login, never ends a run, and loses nothing that a kill cut off."""

from typing import Any

import wandb

from rims_rl.runs.wandb_run import WandbWriter, logged_in, open_run, tracking_mode
from rims_rl.training.parser import plan


def no_account(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def test_auto_is_offline_without_an_account(monkeypatch, tmp_path, capsys):
    no_account(monkeypatch, tmp_path)
    assert not logged_in()
    assert tracking_mode("auto") == "offline"
    assert tracking_mode("online") == "offline"
    assert "wandb login" in capsys.readouterr().err
    assert tracking_mode("off") == "disabled"


def test_auto_is_online_with_an_account(monkeypatch, tmp_path):
    no_account(monkeypatch, tmp_path)
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password not-a-key\n")
    (tmp_path / "netrc").chmod(0o600)
    assert tracking_mode("auto") == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert tracking_mode("auto") == "offline"


def test_online_failure_goes_on_offline_and_then_untracked(monkeypatch, tmp_path, capsys):
    no_account(monkeypatch, tmp_path)
    monkeypatch.setenv("WANDB_API_KEY", "not-a-key")
    modes = []

    def unreachable(**kwargs):
        modes.append(kwargs["mode"])
        raise wandb.errors.CommError("server\nunreachable")

    monkeypatch.setattr(wandb, "init", unreachable)
    online = plan({"env": "CartPole-v1", "track": "online"})
    assert open_run(online, tmp_path, None, {}) is None
    assert modes == ["online", "offline"]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert "going on offline" in lines[1]


class BrokenRun:
    """A W&B run whose connection is gone."""

    def define_metric(self, *args, **kwargs): ...

    def log(self, values):
        raise wandb.errors.CommError("gone")


def test_failure_while_logging_ends_tracking_only(capsys):
    run: Any = BrokenRun()
    writer = WandbWriter(run)
    for step in (1, 2):
        writer.write({"a": 1.0}, {}, step)
    writer.close()
    assert capsys.readouterr().err.count("stopped") == 1
