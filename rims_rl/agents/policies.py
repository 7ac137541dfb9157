"""The policies as model files of version 0.1 name them.

Those files hold what their maker wrote, not what the defaults of the time filled in. These classes
fill it in, so that a saved model computes what it computed; new models have those of
`rims_rl.agents.core_policy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rims_rl.agents import core_policy
from rims_rl.core import core_options


def options_of_version_0_1(core: str, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options of a core of version 0.1 as this version names them.

    The default variant is called ``"hard"`` now, and cores without RIMs took options that they
    did not heed.
    """
    given = dict(options or {})
    if core != "rim":
        return {name: value for name, value in given.items() if name in core_options(core)}
    if given.get("variant", "default") == "default":
        given["variant"] = "hard"
    if given.get("input_value_size") is None:
        given.pop("input_value_size", None)
    return given


class _Saved:
    """Makes the policy beside it in the bases with the defaults of version 0.1."""

    def __init__(
        self,
        *args: Any,
        core: str = "rim",
        core_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        options = options_of_version_0_1(core, core_kwargs)
        super().__init__(*args, core=core, core_kwargs=options, **kwargs)  # type: ignore[call-arg]


class MlpRimPolicy(_Saved, core_policy.MlpRimPolicy):
    """See `rims_rl.agents.MlpRimPolicy`."""


class CnnRimPolicy(_Saved, core_policy.CnnRimPolicy):
    """See `rims_rl.agents.CnnRimPolicy`."""


class MultiInputRimPolicy(_Saved, core_policy.MultiInputRimPolicy):
    """See `rims_rl.agents.MultiInputRimPolicy`."""
