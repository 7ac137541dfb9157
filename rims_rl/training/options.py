"""The options of a training run of an agent: each with its type, default, help and check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from rims_rl.core import core_names
from rims_rl.core.options import CoreOptions
from rims_rl.core.precision import Precision
from rims_rl.runs.errors import UsageError
from rims_rl.runs.options import (
    PlaceOptions,
    Plan,
    above_zero,
    at_least,
    grouped,
    in_unit_interval,
    option,
)

LearningRateSchedule = Literal["constant", "linear"]
Minibatches = Literal["sequences", "random"]


@dataclass(frozen=True)
class EnvOptions:
    """The environment the agent learns in."""

    env: str = option(
        "", "environment id: Atari, MiniGrid or any Gymnasium id, or module:id of your own"
    )
    n_envs: int = option(8, "environments stepped side by side")
    env_kwargs: dict[str, Any] = option({}, "settings of the environment, as {key: value}")
    normalize_reward: bool = option(
        False, "divide rewards by the returns' deviation so far, for learning only"
    )
    normalize_observations: bool = option(
        False, "scale observations to mean 0 and deviation 1, by those seen so far"
    )
    observe_last_action: bool = option(
        False, "show the agent its last action and reward beside each observation"
    )

    def __post_init__(self) -> None:
        if not self.env:
            raise UsageError("no environment given: add --env, e.g. --env PongNoFrameskip-v4")
        at_least(self, 1, "n_envs")


@dataclass(frozen=True)
class PolicyOptions(CoreOptions):
    """The recurrent core between features and heads of a policy, and what it reads."""

    core: str = option(
        "rim", f"recurrent core: {', '.join(core_names())}, or module:name of your own"
    )
    shared_core: bool = option(True, "one core for policy and value, or one each")
    policy_kwargs: dict[str, Any] = option(
        {}, "any other argument of the policy, such as net_arch, as {key: value}"
    )
    features_dim: int = option(
        0, "learned features that the core reads; 0: the policy's own, vectors as they are"
    )
    spatial_input: bool = option(
        False, "RIMs attend to the places of an image or grid: one row of features for each"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 0, "features_dim")
        for name in ("core", "core_kwargs", "shared_core"):
            if name in self.policy_kwargs:
                raise ValueError(f"policy_kwargs: give {name} as an option of its own instead")
        if self.core_kwargs.get("dropout"):
            raise ValueError(
                "core_kwargs: dropout must be 0 in PPO, which compares the probabilities of "
                "actions before and after an update"
            )

    def label(self) -> str:
        """See `CoreOptions.label`."""
        if self.core == "none":
            return "none"
        spatial = "-spatial" if self.spatial_input else ""
        return super().label() + spatial + ("" if self.shared_core else "-separate")


@dataclass(frozen=True)
class PPOOptions:
    """PPO's settings."""

    learning_rate: float = option(3e-4, "Adam's step size")
    learning_rate_schedule: LearningRateSchedule = option(
        "constant", "keep the learning rate, or lower it to 0 over the run"
    )
    n_steps: int = option(128, "steps of each environment between two updates")
    n_minibatches: int = option(4, "minibatches per epoch")
    minibatches: Minibatches = option(
        "sequences", "whole sequences, or sb3-contrib's pieces cut at random and padded"
    )
    n_epochs: int = option(4, "passes over each batch")
    clip_range: float = option(0.2, "how far the probability ratio may move from 1")
    clip_range_vf: float | None = option(
        None, "how far values may move in an update, in units of the rewards; default: any way"
    )
    gamma: float = option(0.99, "discount factor")
    gae_lambda: float = option(0.95, "lambda of generalised advantage estimation")
    ent_coef: float = option(0.01, "weight of the entropy bonus")
    vf_coef: float = option(0.5, "weight of the value loss")
    max_grad_norm: float = option(0.5, "largest gradient norm")
    target_kl: float | None = option(None, "end an update early beyond this divergence")

    def __post_init__(self) -> None:
        at_least(self, 1, "n_steps", "n_minibatches", "n_epochs")
        at_least(self, 0.0, "ent_coef", "vf_coef")
        in_unit_interval(self, "gamma", "gae_lambda")
        above_zero(self, "learning_rate", "clip_range", "clip_range_vf")
        above_zero(self, "max_grad_norm", "target_kl")


@dataclass(frozen=True)
class RunOptions(PlaceOptions):
    """The length and the place of a run, and what is kept of it."""

    total_timesteps: int = option(100_000, "agent steps of all environments together")
    precision: Precision = option(
        "float32", "arithmetic of the images' CNN; bfloat16 is faster on recent processors"
    )
    eval_every: int = option(25_000, "agent steps between evaluations; 0: never")
    eval_episodes: int = option(16, "episodes of an evaluation")
    eval_deterministic: bool = option(
        False, "evaluate with the likeliest actions instead of sampling"
    )
    checkpoint_every: int = option(25_000, "agent steps between checkpoints")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, 1, "total_timesteps", "eval_episodes", "checkpoint_every")
        at_least(self, 0, "eval_every")


GROUPS: Mapping[str, type] = {
    "env": EnvOptions,
    "model": PolicyOptions,
    "ppo": PPOOptions,
    "run": RunOptions,
}


@dataclass(frozen=True)
class TrainPlan(Plan):
    """A whole training run of an agent.

    Attributes:
        run: length, place, tracking, evaluation and checkpoints.
        model: the policy's recurrent core.
        env: the environment.
        ppo: the learning algorithm.

    Raises:
        UsageError: values that do not go together; the message says what would work.
    """

    run: RunOptions
    model: PolicyOptions
    env: EnvOptions
    ppo: PPOOptions

    NOT_IN_IDENTITY = Plan.NOT_IN_IDENTITY | {"keep_checkpoints"}
    CAME_LATER: ClassVar[Mapping[str, Any]] = {
        "observe_last_action": False,
        "spatial_input": False,
        "clip_range_vf": None,
    }

    def __post_init__(self) -> None:
        n_envs, n_minibatches = self.env.n_envs, self.ppo.n_minibatches
        if n_envs * self.ppo.n_steps < 2 * n_minibatches:
            raise UsageError(
                f"--n-minibatches {n_minibatches} leaves less than 2 of the {n_envs} x "
                f"{self.ppo.n_steps} steps of a rollout for each: advantages of one step cannot be "
                "normalised"
            )
        if self.ppo.minibatches == "random":
            if n_envs * self.ppo.n_steps % n_minibatches:
                raise UsageError(
                    f"--n-minibatches {n_minibatches} does not divide the {n_envs} x "
                    f"{self.ppo.n_steps} steps of a rollout"
                )
        elif n_envs % n_minibatches:
            divisors = [str(n) for n in range(1, n_envs + 1) if n_envs % n == 0]
            raise UsageError(
                f"--n-minibatches {n_minibatches} does not divide --n-envs {n_envs} (minibatches "
                f"are whole environment sequences): use --n-minibatches {' or '.join(divisors)}"
            )

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> TrainPlan:
        """Builds the plan from one flat mapping of option name to value."""
        return cls(**grouped(GROUPS, values))

    @property
    def subject(self) -> str:
        """The environment."""
        return self.env.env

    def label(self) -> str:
        """See `PolicyOptions.label`; with what else the agent observes."""
        return super().label() + ("-last-action" if self.env.observe_last_action else "")

    @property
    def batch_size(self) -> int:
        """Transitions of a minibatch."""
        return self.env.n_envs * self.ppo.n_steps // self.ppo.n_minibatches
