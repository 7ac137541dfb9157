"""A server of Weights & Biases for tests: W&B's own classes of runs over canned answers.

What is faked is the one object through which those classes reach the server, so that their
attributes, their paging and their refusals are W&B's.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.apis.public import Runs
from wandb.proto import wandb_api_pb2

#: Generated code, which has no types.
MESSAGES: Any = wandb_api_pb2
ENTITY, PROJECT = "them", "games"


@dataclass
class StoredRun:
    """A run as the server has it."""

    id: str
    config: dict[str, Any]
    rows: list[dict[str, Any]]
    tags: tuple[str, ...] = ()
    group: str | None = None
    state: str = "finished"
    job_type: str | None = None
    metadata: dict[str, Any] | None = None

    def node(self) -> dict[str, Any]:
        """The server's answer to a query for all fields (wandb's ``RUN_FRAGMENT``)."""
        names = {name for row in self.rows for name in row}
        summary = {name: row[name] for row in self.rows for name in row}
        config = {key: {"value": value, "desc": None} for key, value in self.config.items()}
        return {
            "id": f"storage-{self.id}", "name": self.id, "displayName": self.id,
            "tags": list(self.tags), "group": self.group, "jobType": self.job_type,
            "state": self.state, "sweepName": None, "user": {"name": "x", "username": "x"},
            "config": json.dumps({**config, "_wandb": {"value": {}}}),
            "summaryMetrics": json.dumps(summary), "systemMetrics": "{}", "projectId": "1",
            "historyKeys": {
                "keys": {name: {"typeCounts": [{"type": "number", "count": 1}]} for name in names},
                "lastStep": len(self.rows) - 1,
            },
        }  # fmt: skip

    def fits(self, query: dict[str, Any]) -> bool:
        """Tells whether a filter lets the run pass."""
        return all(self._has(part) for part in query.get("$and", []))

    def _has(self, part: dict[str, Any]) -> bool:
        ((name, condition),) = part.items()
        wanted = condition["$in"]
        if name == "tags":
            return bool(set(wanted) & set(self.tags))
        if name.startswith("config."):
            value = self.config.get(name.removeprefix("config.").removesuffix(".value"))
            # As in a database of JSON: 1 is not "1", and true is not 1.
            return any(type(value) is type(w) and value == w for w in wanted)
        return {"group": self.group, "state": self.state}[name] in wanted


@dataclass
class Server:
    """Answers what `wandb.apis.public` asks."""

    runs: list[StoredRun]
    app_url: str = "https://wandb.test/"
    stalls: bool = False
    scans: list[tuple[str, list[str]]] = field(default_factory=list)

    def execute_graphql(self, query: str, variables: dict[str, Any], **_: Any) -> Any:
        """Lists runs, or says how far a run's history goes, or where a file of it is."""
        if (variables["entity"], variables["project"]) != (ENTITY, PROJECT):
            return {"project": None}
        if "RunHistoryKeys" in query:
            keys = self._run(variables["name"]).node()["historyKeys"]
            return {"project": {"run": {"historyKeys": keys}}}
        if "RunFiles" in query:
            return {"project": {"run": {"files": self._files(variables)}}}
        found = [run for run in self.runs if run.fits(json.loads(variables["filters"]))]
        start = int(variables["cursor"] or 0)
        page = found[start : start + variables["perPage"]]
        edges = [{"node": run.node(), "cursor": str(start + i + 1)} for i, run in enumerate(page)]
        more = {"hasNextPage": start + len(page) < len(found)}
        return {"project": {"runCount": len(found), "runs": {"edges": edges, "pageInfo": more}}}

    def send_api_request(self, request: Any, timeout: float | None = None) -> Any:
        """Pages through a history, with the rows that have all keys asked for, or sends a file."""
        response = MESSAGES.ApiResponse()
        if request.HasField("download_file_request"):
            wanted = request.download_file_request
            Path(wanted.path).write_text(json.dumps(self._run(wanted.url).metadata))
            return response
        asked = request.read_run_history_request
        if asked.HasField("scan_run_history_init"):
            init = asked.scan_run_history_init
            self.scans.append((init.run_id, list(init.keys)))
            response.read_run_history_response.scan_run_history_init.request_id = len(self.scans)
            return response
        if self.stalls:
            time.sleep(5)
        scan = asked.scan_run_history
        run_id, keys = self.scans[scan.request_id - 1]
        run = self._run(run_id)
        answer = response.read_run_history_response.run_history
        for step, row in enumerate(run.rows):
            logged = {**row, "_step": step}
            if scan.min_step <= step < scan.max_step and set(keys) <= set(logged):
                items = answer.history_rows.add().history_items
                for key in keys:
                    items.add(key=key, value_json=json.dumps(logged[key]))
        return response

    def _run(self, run_id: str) -> StoredRun:
        (run,) = (run for run in self.runs if run.id == run_id)
        return run

    def _files(self, variables: dict[str, Any]) -> dict[str, Any]:
        has = self._run(variables["name"]).metadata and "wandb-metadata.json"
        nodes = [
            {"name": name, "url": variables["name"], "sizeBytes": "1"}
            for name in variables["fileNames"]
            if name == has
        ]
        edges = [{"node": node, "cursor": "1"} for node in nodes]
        return {"edges": edges, "pageInfo": {"hasNextPage": False}}

    def finalize(self, *_: Any) -> None:
        """Nothing is held."""


class Api:
    """In place of `wandb.Api`, without its login."""

    def __init__(self, server: Any) -> None:
        self.server = server

    def runs(
        self, path: str, filters: dict[str, Any], per_page: int = 50, lazy: bool = True
    ) -> Runs:
        """As `wandb.Api.runs`, in small pages."""
        entity, project = path.split("/")
        return Runs(self.server, entity, project, filters, per_page=min(per_page, 2), lazy=lazy)
