"""Options that earlier versions stored in model files and run folders, as this one names them.

Those of version 0.1 hold what their maker wrote, not what the defaults of the time filled in. The
default variant is called ``"hard"`` now, no value size stood for that of the variant, and cores
without RIMs took options that they did not heed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rims_rl.core.options import AS_BEFORE, SIZED, CoreOptions
from rims_rl.core.registry import core_names, core_options


def upgraded_core(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a core that version 0.1 saved.

    Args:
        name: of the core, or of a model that is none.
        options: what was given then.
    """
    if name != "rim":
        known = core_options(name) if name in core_names() else ()
        return {option: value for option, value in options.items() if option in known}
    given = dict(options)
    if given.get("variant", "default") == "default":
        given["variant"] = "hard"
    if given.get("input_value_size") is None:
        given.pop("input_value_size", None)
    return given


def upgraded_run(values: Mapping[str, Any], environment: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a stored run.

    Args:
        values: its configuration.
        environment: what the run tells of itself: ``rims_rl``, the version that wrote it, and
            ``cell``, what its options stood for (`CoreOptions.cell`). What they no longer stand
            for is spelled out.
    """
    if environment.get("rims_rl") == "0.1.0":
        given = {"variant": values["variant"], **values["core_kwargs"]}
        options = upgraded_core(values["core"], given)
        variant = options.pop("variant", values["variant"])
        return {**values, "variant": variant, "core_kwargs": options}
    if cell := environment.get("cell"):
        return {**values, "core_kwargs": {**values["core_kwargs"], **_changed(values, cell)}}
    return dict(values)


def _changed(values: Mapping[str, Any], cell: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a cell that a run has by default, and that have another default today."""
    sizes = {name: values[name] for name in SIZED}
    try:
        today = CoreOptions(core="rim", core_kwargs=values["core_kwargs"], **sizes).cell()
    except ValueError:  # not to be made here; who makes it is told why
        return {}
    before, now = ({**dict(AS_BEFORE), **options} for options in (cell, today))
    changed = {name: before[name] for name in now if before.get(name, now[name]) != now[name]}
    # What is given and differs was edited since: it stands as it is, and all that hangs on it.
    return {} if changed.keys() & {*SIZED, *values["core_kwargs"]} else changed
