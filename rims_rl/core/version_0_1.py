"""Options that version 0.1 stored in model files and run folders, as this version names them.

Those files hold what their maker wrote, not what the defaults of the time filled in. The default
variant is called ``"hard"`` now, no value size stood for that of the variant, and cores without
RIMs took options that they did not heed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rims_rl.core.registry import core_names, core_options


def upgraded_core(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a core that was saved.

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


def upgraded_run(values: Mapping[str, Any], version: str | None) -> dict[str, Any]:
    """All options of a stored run.

    Args:
        values: its configuration.
        version: of the package that began it; today's names stay for all but 0.1.
    """
    if version != "0.1.0":
        return dict(values)
    given = {"variant": values["variant"], **values["core_kwargs"]}
    options = upgraded_core(values["core"], given)
    variant = options.pop("variant", values["variant"])
    return {**values, "variant": variant, "core_kwargs": options}
