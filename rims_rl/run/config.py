"""What a training run is made of: every option with its type, default and check."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rims_rl.core import RIMConfig, core_names, core_options
from rims_rl.core.config import Variant
from rims_rl.core.precision import Precision
from rims_rl.core.registry import options_of_version_0_1
from rims_rl.run.errors import UsageError

LearningRateSchedule = Literal["constant", "linear"]
Track = Literal["auto", "online", "offline", "off"]


@dataclass(frozen=True)
class EnvConfig:
    """The environment the agent learns in."""

    env: str = field(
        default="", metadata={"help": "environment id: Atari, MiniGrid, BabyAI or any Gymnasium id"}
    )
    n_envs: int = field(default=8, metadata={"help": "environments stepped side by side"})
    env_kwargs: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "settings of the environment, as {key: value}"}
    )
    normalize_reward: bool = field(
        default=False,
        metadata={"help": "divide rewards by the returns' deviation so far, for learning only"},
    )

    def __post_init__(self) -> None:
        if not self.env:
            raise UsageError("no environment given: add --env, e.g. --env PongNoFrameskip-v4")
        at_least(self, 1, "n_envs")


#: Options of a core that have a flag of their own.
SIZED = ("hidden_size", "num_rims", "num_active", "variant")


@dataclass(frozen=True)
class CoreOptions:
    """A core by name and its sizes; see `rims_rl.RIMConfig`. Subclasses say which names exist."""

    core: str
    hidden_size: int = field(default=60, metadata={"help": "units of the core, all RIMs together"})
    num_rims: int = field(default=RIMConfig.num_rims, metadata={"help": "number of RIMs"})
    num_active: int = field(
        default=RIMConfig.num_active, metadata={"help": "RIMs active at each step"}
    )
    variant: Variant = field(
        default=RIMConfig.variant, metadata={"help": "what a RIM cell computes"}
    )
    core_kwargs: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "any other argument of RIMConfig, as {key: value}"}
    )

    def __post_init__(self) -> None:
        try:
            known = set(self._known())
        except ValueError as error:
            raise UsageError(f"--core: {error}") from None
        own = known & {f.name for f in dataclasses.fields(self)}
        for key in self.core_kwargs:
            if key in own:
                raise UsageError(f"core_kwargs: give {key} as {flag(key)} instead")
            if key not in known:
                choices = ", ".join(sorted(known - own))
                hint = f"choose from {choices}" if choices else f"core {self.core} has none"
                raise UsageError(f"core_kwargs: unknown key {key!r}; {hint}")
        try:
            if self.core == "rim":
                RIMConfig(input_size=1, **self.options())
            else:
                at_least(self, 1, "hidden_size")
        except ValueError as error:
            raise UsageError(str(error)) from None
        except TypeError:
            raise UsageError(
                f"core_kwargs: a value has the wrong type: {self.core_kwargs}"
            ) from None

    def options(self) -> dict[str, Any]:
        """The arguments that the core takes, as `core_kwargs` of the policies."""
        known = self._known()
        own = {name: getattr(self, name) for name in SIZED if name in known}
        return {**own, **self.core_kwargs}

    def _known(self) -> tuple[str, ...]:
        return core_options(self.core)

    def label(self) -> str:
        """A short name that tells runs of one environment apart, e.g. ``rim-k6-4-h510``."""
        parts = [self.core.rpartition(":")[2]]
        if self.core == "rim":
            parts += [self.variant] if self.variant != RIMConfig.variant else []
            parts += [f"k{self.num_rims}-{self.num_active}"]
        parts += [f"h{self.hidden_size}"]
        parts += [f"{key}={value}" for key, value in sorted(self.core_kwargs.items())]
        return "-".join(parts)


@dataclass(frozen=True)
class CoreConfig(CoreOptions):
    """The recurrent core between features and heads of a policy, and what it reads."""

    core: str = field(
        default="rim",
        metadata={"help": f"recurrent core: {', '.join(core_names())}, or module:name of your own"},
    )
    shared_core: bool = field(
        default=True, metadata={"help": "one core for policy and value, or one each"}
    )
    features_dim: int = field(
        default=0,
        metadata={
            "help": "learned features that the core reads; 0: the policy's own, vectors as they are"
        },
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "features_dim")

    def label(self) -> str:
        """See `CoreOptions.label`."""
        if self.core == "none":
            return "none"
        return super().label() + ("" if self.shared_core else "-separate")


@dataclass(frozen=True)
class PPOConfig:
    """PPO's settings."""

    learning_rate: float = field(default=3e-4, metadata={"help": "Adam's step size"})
    learning_rate_schedule: LearningRateSchedule = field(
        default="constant",
        metadata={"help": "keep the learning rate, or lower it to 0 over the run"},
    )
    n_steps: int = field(
        default=128, metadata={"help": "steps of each environment between two updates"}
    )
    n_minibatches: int = field(
        default=4, metadata={"help": "minibatches an epoch, of whole environment sequences"}
    )
    n_epochs: int = field(default=4, metadata={"help": "passes over each batch"})
    clip_range: float = field(
        default=0.2, metadata={"help": "how far the probability ratio may move from 1"}
    )
    gamma: float = field(default=0.99, metadata={"help": "discount factor"})
    gae_lambda: float = field(
        default=0.95, metadata={"help": "lambda of generalised advantage estimation"}
    )
    ent_coef: float = field(default=0.01, metadata={"help": "weight of the entropy bonus"})
    vf_coef: float = field(default=0.5, metadata={"help": "weight of the value loss"})
    max_grad_norm: float = field(default=0.5, metadata={"help": "largest gradient norm"})
    target_kl: float | None = field(
        default=None, metadata={"help": "end an update early beyond this divergence"}
    )

    def __post_init__(self) -> None:
        at_least(self, 1, "n_steps", "n_minibatches", "n_epochs")
        at_least(self, 0.0, "learning_rate", "ent_coef", "vf_coef")
        _in_unit_interval(self, "gamma", "gae_lambda")
        above_zero(self, "clip_range", "max_grad_norm", "target_kl")


@dataclass(frozen=True)
class RunConfig:
    """How long, where, and what is kept."""

    total_timesteps: int = field(
        default=100_000, metadata={"help": "agent steps of all environments together"}
    )
    seed: int = field(default=0, metadata={"help": "seed of everything random"})
    device: str = field(default="auto", metadata={"help": "auto, cpu, cuda or cuda:N"})
    threads: int = field(default=0, metadata={"help": "CPU threads of torch; 0: torch's choice"})
    precision: Precision = field(
        default="float32",
        metadata={"help": "arithmetic of the images' CNN; bfloat16 is faster on recent processors"},
    )
    run_dir: str | None = field(
        default=None, metadata={"help": "this run's folder; default runs/ENV/CORE/seedS-TIME"}
    )
    track: Track = field(
        default="auto",
        metadata={"help": "Weights & Biases; auto: online when logged in, else offline"},
    )
    eval_every: int = field(
        default=25_000, metadata={"help": "agent steps between evaluations; 0: never"}
    )
    eval_episodes: int = field(default=16, metadata={"help": "episodes of an evaluation"})
    checkpoint_every: int = field(
        default=25_000, metadata={"help": "agent steps between checkpoints"}
    )
    keep_checkpoints: int = field(default=3, metadata={"help": "how many checkpoints are kept"})

    def __post_init__(self) -> None:
        at_least(self, 1, "total_timesteps", "eval_episodes", "checkpoint_every")
        at_least(self, 1, "keep_checkpoints")
        at_least(self, 0, "threads", "eval_every")
        check_seed(self.seed)


GROUPS: Mapping[str, type] = {
    "env": EnvConfig,
    "core": CoreConfig,
    "ppo": PPOConfig,
    "run": RunConfig,
}


@dataclass(frozen=True)
class TrainConfig:
    """A whole training run.

    Attributes:
        env: the environment.
        core: the recurrent core.
        ppo: the learning algorithm.
        run: length, place, tracking, evaluation and checkpoints.

    Raises:
        UsageError: values that do not go together; the message says what would work.
    """

    env: EnvConfig
    core: CoreConfig
    ppo: PPOConfig
    run: RunConfig

    def __post_init__(self) -> None:
        n_envs, n_minibatches = self.env.n_envs, self.ppo.n_minibatches
        if n_envs % n_minibatches:
            divisors = [str(n) for n in range(1, n_envs + 1) if n_envs % n == 0]
            raise UsageError(
                f"--n-minibatches {n_minibatches} does not divide --n-envs {n_envs} (minibatches "
                f"are whole environment sequences): use {' or '.join(divisors)} minibatches"
            )

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> TrainConfig:
        """Builds the configuration from one flat mapping of option name to value."""
        groups = {
            name: group(**{f: values[f] for f in option_names(group) if f in values})
            for name, group in GROUPS.items()
        }
        return cls(**groups)

    def flat(self) -> dict[str, Any]:
        """All options by name: the content of a run's ``config.yaml``."""
        groups = (dataclasses.asdict(getattr(self, name)) for name in GROUPS)
        return {name: value for group in groups for name, value in group.items()}

    @property
    def batch_size(self) -> int:
        """Transitions of a minibatch."""
        return self.env.n_envs * self.ppo.n_steps // self.ppo.n_minibatches


def of_version_0_1(values: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a run that version 0.1 began, as this version names them."""
    given = {"variant": values["variant"], **values["core_kwargs"]}
    options = options_of_version_0_1(values["core"], given)
    variant = options.pop("variant", values["variant"])
    return {**values, "variant": variant, "core_kwargs": options}


def option_names(group: type) -> tuple[str, ...]:
    """The names of a group's options."""
    return tuple(f.name for f in dataclasses.fields(group))


def flag(name: str) -> str:
    """An option as it is typed on the command line."""
    return "--" + name.replace("_", "-")


def at_least(group: object, lowest: float, *names: str) -> None:
    """Refuses options of a group that are below `lowest`."""
    for name in names:
        if not getattr(group, name) >= lowest:
            raise UsageError(f"{flag(name)} must be at least {lowest}, got {getattr(group, name)}")


def check_seed(seed: int) -> None:
    """Refuses seeds that a random generator does not take."""
    if not 0 <= seed < 2**31:
        raise UsageError(f"--seed must be from 0 to {2**31 - 1}, got {seed}")


def above_zero(group: object, *names: str) -> None:
    """Refuses options of a group that are 0 or below; None stands for none."""
    for name in names:
        value = getattr(group, name)
        if value is not None and not value > 0:
            raise UsageError(f"{flag(name)} must be above 0, got {value}")


def _in_unit_interval(group: object, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(group, name) <= 1:
            raise UsageError(f"{flag(name)} must be between 0 and 1, got {getattr(group, name)}")
