"""The places of runs, and what is refused before anything is created."""

import os
from datetime import datetime
from pathlib import Path

import pytest

from rims_rl.runs import folder
from rims_rl.runs.errors import UsageError
from rims_rl.runs.folder import check_new_folder, default_folder, describe_environment


def test_default_folder_is_safe_and_tells_all():
    path = default_folder("ALE/Pong-v5", "rim-k6-4-h510", 7, datetime(2026, 1, 2, 3, 4, 5))
    assert path == Path("runs/ALE_Pong-v5/rim-k6-4-h510/seed7-20260102-030405")


def test_folder_with_a_run_names_the_way_out(tmp_path):
    (tmp_path / "config.yaml").touch()
    with pytest.raises(UsageError, match=r"already holds a run.*--resume"):
        check_new_folder(tmp_path)


def test_other_content_and_files_in_the_way(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UsageError, match="is not empty"):
        check_new_folder(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        check_new_folder(tmp_path / "thesis.tex" / "run")


def test_no_permission(tmp_path, monkeypatch):
    # As the system says it; root may write whatever a folder's mode is.
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != tmp_path)
    with pytest.raises(UsageError, match="no permission"):
        check_new_folder(tmp_path / "a" / "b")


def test_environment_names_versions_and_machine():
    facts = describe_environment()
    assert facts["packages"]["torch"]
    assert facts["cores"] >= 1


def test_a_process_asks_git_and_the_installed_packages_once(monkeypatch):
    first = describe_environment()
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("asked git again"))
    monkeypatch.setattr("importlib.metadata.version", lambda _: pytest.fail("looked again"))
    assert {**describe_environment(), "started": first["started"]} == first


def test_environments_of_earlier_parts_stay(tmp_path, monkeypatch):
    def begin(commit):
        monkeypatch.setattr(folder, "_commit", lambda: commit)
        folder.describe_run(tmp_path, "", "command", {}, {"num_rims": 6})

    for commit in ("a", "a", "b", "c", "c"):
        begin(commit)
    environment = folder.read_environment(tmp_path)
    assert environment["commit"] == "c"
    assert environment["cell"] == {"num_rims": 6}
    assert [part["commit"] for part in environment["earlier"]] == ["a", "b"]
    assert not {"cell", "earlier"} & environment["earlier"][0].keys()
