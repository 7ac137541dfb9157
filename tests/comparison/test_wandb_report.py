"""The report at Weights & Biases, as far as that goes without a network."""

import json

import pytest
from wandb_workspaces.reports.v2 import interface

from rims_rl.comparison.comparison import compare
from rims_rl.comparison.summary import summarise
from rims_rl.comparison.wandb_report import make_report, send_report
from rims_rl.runs.errors import UsageError
from tests.comparison.records import record

GAMES = ("CartPole-v1", "ALE/Pong-v5", "it's-v0")


@pytest.fixture(scope="module")
def summary():
    cores = ("lstm-h8", "rim-k6-4-h8")
    return summarise(compare(record(core, env=env) for core in cores for env in GAMES))


def test_a_panel_a_game_grouped_by_core(summary, monkeypatch):
    # What is sent has the server's own id of the project in it.
    monkeypatch.setattr(interface, "_get_api", lambda: None)
    monkeypatch.setattr(interface, "execute_graphql", lambda *_: {"project": {"internalId": "7"}})
    report = make_report(summary, "us/rims", "Cores", "python -m rims_rl.compare x")
    assert "python -m rims_rl.compare x" in report.blocks[0].text
    sent = [block._to_model().model_dump(by_alias=True) for block in report.blocks[2:]]
    assert len(sent) == len(GAMES)
    for grid, env in zip(sent, sorted(GAMES), strict=True):
        (runs,) = grid["metadata"]["runSets"]
        assert (runs["name"], runs["project"]["name"]) == (env, "rims")
        assert f'"value": {json.dumps(env)}' in json.dumps(runs["filters"])
        assert "exp_name" in json.dumps(runs["grouping"])
        panels = json.dumps(grid["metadata"]["panelBankSectionConfig"]["panels"])
        assert "charts/episodic_return" in panels
        assert "global_step" in panels


@pytest.mark.parametrize("spec", ["rims", "a/b/c", "/rims", "us/", "us/ri ms"])
def test_what_is_no_project(summary, spec):
    with pytest.raises(UsageError, match="give ENTITY/PROJECT"):
        make_report(summary, spec, "", "")


def test_without_an_account_nothing_is_sent(summary, in_empty_folder):
    report = make_report(summary, "us/rims", "Cores", "x")
    with pytest.raises(UsageError, match="run `wandb login`"):
        send_report(report)
