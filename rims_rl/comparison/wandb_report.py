"""A comparison as a report at Weights & Biases: our tables, and its own panels of the runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rims_rl.comparison.text import as_text
from rims_rl.comparison.wandb_names import ENV_KEYS, OURS
from rims_rl.runs.errors import UsageError
from rims_rl.runs.wandb_log import STEP_AXIS
from rims_rl.runs.wandb_run import logged_in


def check_project(spec: str) -> tuple[str, str]:
    """The entity and the project that ``ENTITY/PROJECT`` names.

    Raises:
        UsageError: it names none.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", spec):
        raise UsageError(f"--wandb-report {spec}: give ENTITY/PROJECT")
    entity, project = spec.split("/")
    return entity, project


def make_report(summary: Mapping[str, Any], spec: str, title: str, command: str) -> Any:
    """The report, not sent yet.

    Args:
        summary: of the comparison.
        spec: ``ENTITY/PROJECT`` that has the runs.
        title: of the report.
        command: that made it.

    Returns:
        A `wandb_workspaces.reports.v2.Report`: our tables, then for each game a panel of its runs,
        grouped by core with mean and spread.

    Raises:
        UsageError: wandb-workspaces is not installed, or the spec names no project.
    """
    entity, project = check_project(spec)
    try:
        from wandb_workspaces.reports.v2 import interface as reports
    except ImportError:
        raise UsageError(
            '--wandb-report needs wandb-workspaces: pip install -c constraints.txt -e ".[report]"'
        ) from None
    blocks: list[Any] = [reports.MarkdownBlock(as_text(summary, command)), reports.H1("Games")]
    for env in summary["envs"]:
        runs = reports.Runset(
            entity=entity,
            project=project,
            name=env,
            filters=f"Config('{ENV_KEYS[0]}') == {env!r}",
            groupby=["config.exp_name"],
        )
        curve = reports.LinePlot(
            title=env, x=STEP_AXIS, y=[OURS], title_x="agent steps", title_y="return",
            groupby_aggfunc="mean", groupby_rangefunc="stddev",
        )  # fmt: skip
        blocks.append(reports.PanelGrid(runsets=[runs], panels=[curve]))
    return reports.Report(
        project=project, entity=entity, title=title, description=command, blocks=blocks
    )


def send_report(report: Any) -> str:
    """Sends a report and returns its address.

    Raises:
        UsageError: it cannot be sent.
    """
    if not logged_in():
        raise UsageError("--wandb-report: not logged in to Weights & Biases; run `wandb login`")
    try:
        report.save()
    except Exception as error:  # the library lets whatever its client raises through
        raise UsageError(f"--wandb-report: {error}") from None
    return str(report.url)
