"""Options that several tasks share, and checks of lists."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rims_rl.core.precision import Precision
from rims_rl.runs.errors import UsageError
from rims_rl.runs.options import at_least, check_seed, flag, option


@dataclass(frozen=True)
class EmbeddingOptions:
    """The embedding that a step of a sequence is turned into."""

    embedding_size: int = option(64, "features of a step before the core")

    def __post_init__(self) -> None:
        at_least(self, 1, "embedding_size")


def all_at_least(group: object, lowest: float, *names: str) -> None:
    """Refuses lists among a group's options that hold a value below `lowest`."""
    for name in names:
        for value in getattr(group, name):
            if not value >= lowest:
                raise UsageError(f"{flag(name)}: each must be at least {lowest}, got {value}")


def not_empty(group: object, name: str) -> None:
    """Refuses an empty list among a group's options: a test of nothing."""
    if not getattr(group, name):
        raise UsageError(f"{flag(name)}: expected at least one, got []")


@dataclass(frozen=True)
class CacheOptions:
    """The seed of generated videos, and the place where they are kept."""

    cache_dir: str | None = option(None, "folder of generated videos; default ~/.cache/rims_rl")
    data_seed: int = option(0, "seed of the videos")

    def __post_init__(self) -> None:
        check_seed(self.data_seed, "data_seed")

    @property
    def cache(self) -> Path:
        """The folder, that of the system's caches by default."""
        if self.cache_dir is not None:
            return Path(self.cache_dir).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "rims_rl"


@dataclass(frozen=True)
class RolloutOptions(CacheOptions):
    """The computation of frames, and the test of a model of them: true ones first, then its own."""

    precision: Precision = option(
        "float32", "arithmetic of encoder and decoder; bfloat16 is faster on recent CPUs"
    )
    given: int = option(15, "true frames before a rollout")
    rollout_size: int = option(256, "sequences of a rollout in validation, at most")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "given", "rollout_size")
