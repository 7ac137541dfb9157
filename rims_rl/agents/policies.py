"""The policies as model files of version 0.1 name them.

These classes fill in the defaults of the time (`rims_rl.core.earlier`), so that a saved model
computes what it computed; new models have those of `rims_rl.agents.core_policy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rims_rl.agents import core_policy
from rims_rl.core.earlier import upgraded_core


class _Saved:
    """Makes the policy beside it in the bases with the defaults of version 0.1."""

    def __init__(
        self,
        *args: Any,
        core: str = "rim",
        core_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        options = upgraded_core(core, core_kwargs or {})
        super().__init__(*args, core=core, core_kwargs=options, **kwargs)  # type: ignore[call-arg]


class MlpRimPolicy(_Saved, core_policy.MlpRimPolicy):
    """See `rims_rl.agents.MlpRimPolicy`."""


class CnnRimPolicy(_Saved, core_policy.CnnRimPolicy):
    """See `rims_rl.agents.CnnRimPolicy`."""


class MultiInputRimPolicy(_Saved, core_policy.MultiInputRimPolicy):
    """See `rims_rl.agents.MultiInputRimPolicy`."""
