"""Makes the environments and the model that a plan describes."""

from __future__ import annotations

import pydoc
from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import create_empty_array
from sb3_contrib import RecurrentPPO as StockRecurrentPPO
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv, VecNormalize
from torch import nn
from torch.optim import Optimizer

from rims_rl.agents import (
    AppendingExtractor,
    AtariCnn,
    CnnRimPolicy,
    CorePolicy,
    GridExtractor,
    LinearFeatures,
    MlpRimPolicy,
    MultiInputRimPolicy,
    RecurrentPPO,
    SmallGridCnn,
)
from rims_rl.agents.core_policy import POLICY_ARGUMENTS
from rims_rl.agents.features import without
from rims_rl.envs import make_vec_env, shows_last_action
from rims_rl.envs.last_action import LAST_ACTION, LAST_REWARD
from rims_rl.runs.errors import UsageError, did_you_mean
from rims_rl.training.options import PPOOptions, TrainPlan

#: Extractors that can give a row of features for each position, and the size of a row.
_WITH_ROWS = (AtariCnn, GridExtractor, SmallGridCnn)
_ROW_SIZE = 64
#: What classes in ``--policy-kwargs`` must be.
_CLASSES = {
    "features_extractor_class": BaseFeaturesExtractor,
    "activation_fn": nn.Module,
    "optimizer_class": Optimizer,
}


def make_env(
    env_id: str, n_envs: int, seed: int, env_kwargs: Mapping[str, Any], **kwargs: Any
) -> VecEnv:
    """`make_vec_env` with its refusals as one line for the user.

    Raises:
        UsageError: the environment cannot be built.
    """
    try:
        return make_vec_env(env_id, n_envs, seed, env_kwargs=env_kwargs, **kwargs)
    except ValueError as error:
        raise UsageError(str(error)) from None
    except NotImplementedError as error:  # SB3's, about a space
        raise UsageError(f"--env {env_id}: {error}") from None


def make_training_env(plan: TrainPlan, seed: int) -> VecEnv:
    """The environments to learn in."""
    settings = plan.env
    env = make_env(
        settings.env,
        settings.n_envs,
        seed,
        settings.env_kwargs,
        observe_last_action=settings.observe_last_action,
    )
    if not (settings.normalize_reward or settings.normalize_observations):
        return env
    if settings.normalize_observations and not _is_numbers(env.observation_space):
        env.close()
        raise UsageError(
            f"--normalize-observations is for real numbers, not for what {settings.env} shows; "
            "leave it out"
        )
    return VecNormalize(
        env,
        norm_obs=settings.normalize_observations,
        norm_reward=settings.normalize_reward,
        gamma=plan.ppo.gamma,
    )


def _is_numbers(space: spaces.Space[Any]) -> bool:
    """Tells whether observations are real numbers, which can be scaled, and no picture.

    SB3's rollout buffer keeps whole numbers as such, whatever `VecNormalize` made of them.
    """
    if isinstance(space, spaces.Dict):
        symbols = GridExtractor.fits(space)
        return not symbols and all(map(_is_numbers, space.spaces.values()))
    is_real = isinstance(space, spaces.Box) and np.issubdtype(space.dtype, np.floating)
    return is_real and not is_image_space(space)


def make_eval_env(plan: TrainPlan, training_env: VecEnv, seed: int) -> VecEnv:
    """Environments to evaluate in during training: raw rewards, observations as in training."""
    n_envs = min(plan.run.eval_episodes, plan.env.n_envs)
    env = make_env(
        plan.env.env,
        n_envs,
        seed,
        plan.env.env_kwargs,
        observe_last_action=plan.env.observe_last_action,
    )
    if not (isinstance(training_env, VecNormalize) and training_env.norm_obs):
        return env
    scaled = VecNormalize(env, training=False, norm_reward=False)
    scaled.obs_rms = training_env.obs_rms  # the same object: it goes on learning
    return scaled


#: What seeds are derived for, the first number of `derived_seed`'s key.
EVALUATING, RESUMING, PLAYING = 1, 2, 3


def derived_seed(seed: int, *key: int) -> int:
    """Another seed for another purpose, the same for the same `seed` and `key`."""
    return int(np.random.SeedSequence([seed, *key]).generate_state(1)[0] >> 1)


def policy_class(space: spaces.Space[Any]) -> type[CorePolicy]:
    """The policy that takes observations of this space."""
    if isinstance(space, spaces.Dict):
        return MultiInputRimPolicy
    return CnnRimPolicy if is_image_space(space) else MlpRimPolicy


def algorithm(plan: TrainPlan) -> type[StockRecurrentPPO]:
    """The algorithm that learns: ours, or sb3-contrib's own."""
    return RecurrentPPO if plan.ppo.minibatches == "sequences" else StockRecurrentPPO


def make_model(plan: TrainPlan, env: VecEnv) -> StockRecurrentPPO:
    """A fresh model for an environment.

    Raises:
        UsageError: the model cannot be built, or the device is not there.
    """
    core = plan.model
    for name in core.policy_kwargs:
        if name not in POLICY_ARGUMENTS:
            choices = f"; choose from {', '.join(POLICY_ARGUMENTS)}"
            hint = did_you_mean(name, POLICY_ARGUMENTS, otherwise=choices)
            raise UsageError(f"--policy-kwargs: unknown key {name!r}{hint}")
    arguments = {name: _class_or_value(name, value) for name, value in core.policy_kwargs.items()}
    policy = policy_class(env.observation_space)
    try:
        model = algorithm(plan)(
            policy,
            env,
            policy_kwargs={
                "core": core.core,
                "core_kwargs": core.spelled_out(),
                "shared_core": core.shared_core,
                **_merged(_features(plan, env.observation_space), arguments),
            },
            n_steps=plan.ppo.n_steps,
            batch_size=plan.batch_size,
            seed=plan.run.seed,
            device=plan.run.device,
            **ppo_settings(plan.ppo),
        )
        # What a backend cannot run shows in the first step.
        zeros: Any = create_empty_array(model.observation_space, 1, np.zeros)
        model.policy.predict(zeros, deterministic=True)
        return model
    except (AssertionError, NotImplementedError, LookupError) as error:  # SB3's, about a space
        raise UsageError(f"--env {plan.env.env}: {error}") from None
    except TypeError as error:
        values = {**core.policy_kwargs, **core.core_kwargs}
        given = ", ".join(f"{name} {value!r}" for name, value in values.items())
        raise UsageError(
            "a value in --policy-kwargs or --core-kwargs is of a type that does not work: "
            f"{error} ({given})"
        ) from None
    except ValueError as error:
        raise UsageError(str(error)) from None


def _class_or_value(name: str, value: Any) -> Any:
    """A value of ``--policy-kwargs``, the class itself where one is named.

    Raises:
        UsageError: there is no such class, or it is of another kind.
    """
    if not isinstance(value, str) or name not in _CLASSES:
        return value
    try:
        found = pydoc.locate(value.replace(":", "."))
    except pydoc.ErrorDuringImport as error:
        raise UsageError(f"--policy-kwargs: cannot import {value!r} of {name}: {error}") from None
    if not isinstance(found, type):
        raise UsageError(
            f"--policy-kwargs: {name} must be a class with its module, such as torch.nn.ReLU or "
            f"rims_rl.agents.SmallGridCnn, not {value!r}"
        )
    if not issubclass(found, _CLASSES[name]):
        raise UsageError(
            f"--policy-kwargs: {name} must be a subclass of {_CLASSES[name].__name__}, not {value}"
        )
    return found


def _merged(ours: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a policy; what the user gives wins, also within those of the extractor."""
    name = "features_extractor_kwargs"
    of_extractor = {**ours.get(name, {}), **given.get(name, {})}
    own = given.get("features_extractor_class")
    if own and ours.get("features_extractor_class") is AppendingExtractor:
        of_extractor["extractor"] = own
        given = {**given, "features_extractor_class": AppendingExtractor}
    return {**ours, **given, **({name: of_extractor} if of_extractor else {})}


def _features(plan: TrainPlan, space: spaces.Space[Any]) -> dict[str, Any]:
    """The policy's arguments for the features of its observations, none if its own are meant."""
    if not shows_last_action(space):
        extractor, options = _extractor(plan, space)
        own = extractor is None
        arguments: dict[str, Any] = {} if own else {"features_extractor_class": extractor}
        return {**arguments, "features_extractor_kwargs": options} if options else arguments
    assert isinstance(space, spaces.Dict)
    appended: tuple[str, ...] = (LAST_ACTION, LAST_REWARD)
    inner = without(space, appended)
    if isinstance(inner, spaces.Dict) and GridExtractor.fits(inner):
        appended = (*appended, *GridExtractor.not_read(inner))
        inner = without(space, appended)
    extractor, options = _extractor(plan, inner)
    policy = policy_class(inner)
    return {
        "features_extractor_class": AppendingExtractor,
        "features_extractor_kwargs": {
            "extractor": extractor or policy.extractor_for(inner),
            "appended": appended,
            **options,
        },
        # The heads stay those of the policy for what is seen without.
        **({"net_arch": []} if policy is CnnRimPolicy else {}),
    }


def _extractor(
    plan: TrainPlan, space: spaces.Space[Any]
) -> tuple[type[BaseFeaturesExtractor] | None, dict[str, Any]]:
    """The extractor of features of observations, None for the policy's own, and its arguments."""
    policy = policy_class(space)
    size, precision = plan.model.features_dim, plan.run.precision
    extractor: type[BaseFeaturesExtractor] | None = None
    options: dict[str, Any] = {}
    if size and policy is MlpRimPolicy:
        extractor = SmallGridCnn if SmallGridCnn.fits(space) else LinearFeatures
    if size:
        options["features_dim"] = size
        if policy is MultiInputRimPolicy and not GridExtractor.fits(space):
            raise UsageError(
                f"--features-dim {size} is not for dictionaries of other things than symbolic "
                "grids and missions; leave it out"
            )
    if precision != "float32":
        options["precision"] = precision
        if policy is not CnnRimPolicy:
            raise UsageError(
                f"--precision {precision} is for image observations; leave it out for others"
            )
    if plan.model.spatial_input:
        if (extractor or policy.extractor_for(space)) not in _WITH_ROWS:
            raise UsageError(
                "--spatial-input is for images and grids (--features-dim makes features of "
                "MinAtar's); leave it out for others"
            )
        options = {"features_dim": _ROW_SIZE, **options, "rows": True}
    return extractor, options


def ppo_settings(ppo: PPOOptions) -> dict[str, Any]:
    """The arguments of `RecurrentPPO` that may differ when a run is resumed."""
    rate = ppo.learning_rate
    linear = ppo.learning_rate_schedule == "linear"
    return {
        "learning_rate": LinearSchedule(rate, 0.0, 1.0) if linear else rate,
        "n_epochs": ppo.n_epochs,
        "clip_range": ppo.clip_range,
        "clip_range_vf": ppo.clip_range_vf,
        "gamma": ppo.gamma,
        "gae_lambda": ppo.gae_lambda,
        "ent_coef": ppo.ent_coef,
        "vf_coef": ppo.vf_coef,
        "max_grad_norm": ppo.max_grad_norm,
        "target_kl": ppo.target_kl,
    }
