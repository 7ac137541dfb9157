"""Facts that stand beside the numbers of a benchmark, and the way those are written."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rims_rl.runs.folder import describe_environment

#: The place of all numbers that benchmarks write.
RESULTS = Path(__file__).resolve().parent.parent / "results" / "speed"


def provenance() -> dict[str, Any]:
    """The command, the machine, the versions and the commit behind a result."""
    return {"command": shlex.join(["python", *sys.argv]), **describe_environment()}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes numbers for people and programs."""
    path.write_text(json.dumps(content, indent=1) + "\n")
