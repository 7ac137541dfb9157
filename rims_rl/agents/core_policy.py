"""Recurrent policies of Stable-Baselines3 with RIMs, an LSTM, a GRU or no recurrence inside.

Axes: T time, N sequences (environments), B = N * T samples ordered by sequence, D features.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import (
    BaseFeaturesExtractor,
    CombinedExtractor,
    FlattenExtractor,
)
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from stable_baselines3.common.utils import get_device
from torch import Tensor

from rims_rl.agents.cnn import SMALLEST_IMAGE, AtariCnn
from rims_rl.agents.extractors import GridExtractor
from rims_rl.agents.features import AppendingExtractor, gives_rows
from rims_rl.core import RIM, Core, RIMInfo, core_options, make_core
from rims_rl.core.earlier import upgraded_core
from rims_rl.core.options import CoreOptions

if TYPE_CHECKING:
    from typing_extensions import Self

_STOCK_ARGUMENTS = set(inspect.signature(RecurrentActorCriticPolicy).parameters) & {
    "lstm_hidden_size", "n_lstm_layers", "shared_lstm", "enable_critic_lstm", "lstm_kwargs"
}  # fmt: skip

#: What `RecurrentPPO` gives the policy itself, and what means nothing without its ``use_sde``.
_OF_ALGORITHM = {
    "observation_space", "action_space", "lr_schedule",
    "use_sde", "squash_output", "full_std", "use_expln",
}  # fmt: skip

#: What `CorePolicy` takes from ``policy_kwargs`` beside its core.
POLICY_ARGUMENTS = tuple(
    name
    for name in inspect.signature(RecurrentActorCriticPolicy).parameters
    if name not in _OF_ALGORITHM | _STOCK_ARGUMENTS
)


class CorePolicy(RecurrentActorCriticPolicy):
    """Recurrent policy around one core or two, with RIMs by default.

    Features -> core -> actor and critic heads. Takes the arguments of SB3's policies and three
    of its own instead of sb3-contrib's ``lstm_*``:

    Args:
        observation_space: of the environment.
        action_space: of the environment.
        lr_schedule: learning rate by the remaining progress.
        core: ``"rim"``, ``"lstm"``, ``"gru"``, ``"rnn"``, ``"rmc"``, ``"none"`` or a name given to
            `rims_rl.register_core`. One word changes in a comparison.
        core_kwargs: the core's options, for RIMs the fields of `rims_rl.RIMConfig`.
        shared_core: actor and critic share one core that both losses train, as in the paper;
            otherwise each has its own. (sb3-contrib's ``shared_lstm`` is another method: there
            the value loss does not reach the core.)
        **kwargs: as `sb3_contrib.common.recurrent.policies.RecurrentActorCriticPolicy`, by name.

    Raises:
        ValueError: an option is unknown or out of range; the message says what would work.
    """

    lstm_actor: Core  # type: ignore[assignment]
    lstm_critic: Core | None  # type: ignore[assignment]

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        *,
        core: str = "rim",
        core_kwargs: Mapping[str, Any] | None = None,
        shared_core: bool = True,
        **kwargs: Any,
    ) -> None:
        stock = _STOCK_ARGUMENTS & set(kwargs)
        if stock:
            raise ValueError(
                f"{', '.join(sorted(stock))}: not an argument of {type(self).__name__}; use "
                "core='lstm', core_kwargs=dict(hidden_size=...) and shared_core=True or False"
            )
        if shared_core and not kwargs.get("share_features_extractor", True):
            raise ValueError(
                "a shared core needs shared features: use shared_core=False "
                "with share_features_extractor=False"
            )
        if not isinstance(core_kwargs, Mapping | None):
            raise ValueError(
                "core_kwargs must be a dictionary of the core's options, such as dict(num_rims=6), "
                f"got {type(core_kwargs).__name__}"
            )
        self.core = core
        options = core_options(core)
        if misplaced := [n for n in kwargs if n in options and n not in POLICY_ARGUMENTS]:
            raise ValueError(
                f"{', '.join(misplaced)}: an option of the core, give it in core_kwargs="
                f"dict({misplaced[0]}={kwargs[misplaced[0]]!r})"
            )
        sized = "hidden_size" in options
        default = {"hidden_size": CoreOptions.hidden_size} if sized else {}
        self.core_kwargs = {**default, **(core_kwargs or {})}
        self.shared_core = shared_core
        if kwargs.setdefault("optimizer_class", torch.optim.Adam) is torch.optim.Adam:
            given = kwargs.get("optimizer_kwargs") or {}
            # One fused pass over each parameter instead of eight, unless another way is chosen.
            chosen = given.get("foreach") or given.get("differentiable")
            # SB3's epsilon.
            kwargs["optimizer_kwargs"] = {
                "eps": 1e-5, **({} if chosen else {"fused": True}), **given
            }  # fmt: skip
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            # The parent's LSTMs are replaced below: make them as small as can be.
            lstm_hidden_size=1,
            shared_lstm=shared_core,
            enable_critic_lstm=not shared_core,
            **kwargs,
        )
        self.lstm_actor = self._make_core()
        self.lstm_critic = None if shared_core else self._make_core()
        if core == "rim":  # what is saved does not change with the defaults
            self.core_kwargs = cast(RIM, self.lstm_actor).config.options()
        self.lstm_hidden_state_shape = (1, 1, self.lstm_actor.hidden_size)
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )
        #: What happened in the actor's RIMs in the latest step without gradient: parts (N, ...);
        #: None before the first and with other cores. For videos and inspection.
        self.latest_info: RIMInfo | None = None
        #: As `active_mask`, of the latest step of the training, whatever `predict` computed since.
        self.acted_mask: Tensor | None = None

    @classmethod
    def load(cls, path: str, device: torch.device | str = "auto") -> Self:
        """Loads what `save` saved; a policy of version 0.1 keeps the cell that it had.

        Args:
            path: of the file.
            device: where the policy is to be.
        """
        device = get_device(device)
        saved = torch.load(path, map_location=device, weights_only=False)
        options = dict(saved["data"])
        core, core_kwargs = options.get("core", "rim"), options.get("core_kwargs") or {}
        if core == "rim" and "selection" not in core_kwargs:  # 0.1 saved what it was given
            options["core_kwargs"] = upgraded_core(core, core_kwargs)
        policy = cls(**options)
        policy.load_state_dict(saved["state_dict"])
        return policy.to(device)

    @staticmethod
    def extractor_for(space: spaces.Space[Any]) -> type[BaseFeaturesExtractor]:
        """The extractor of features for observations of this space where no other is given."""
        return FlattenExtractor

    def lesion(self, rims: Sequence[int]) -> None:
        """Holds some RIMs of actor and critic inactive until the next call.

        See `rims_rl.RIM.hold_inactive`.

        Args:
            rims: from 0; an empty sequence ends it.

        Raises:
            ValueError: as there, or the core is no RIM.
        """
        for core in (self.lstm_actor, self.lstm_critic):
            if core is None:
                continue
            if not isinstance(core, RIM):
                raise ValueError(f"core {self.core!r} has no RIMs")
            core.hold_inactive(rims)

    def make_features_extractor(self) -> BaseFeaturesExtractor:
        """Makes the features extractor."""
        extractor = super().make_features_extractor()
        # SB3 gives a NumPy integer for MultiDiscrete observations, which torch's layers refuse.
        extractor._features_dim = int(extractor.features_dim)
        return extractor

    def _make_core(self) -> Core:
        # Whatever the core draws, all else begins alike with the same seed.
        seed = int(torch.randint(2**31, ()))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            core = make_core(self.core, self.features_dim, self.core_kwargs)
        if gives_rows(self.features_extractor) and not core.reads_rows:
            raise ValueError(
                f"core {self.core!r} of core_kwargs {self.core_kwargs} reads one row of features "
                "a step, and the features extractor gives one for each position: use RIMs with "
                "input attention, or an extractor without rows"
            )
        return core

    def _build(self, lr_schedule: Schedule) -> None:
        self.lstm_output_dim = self._make_core().output_size
        super()._build(lr_schedule)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            **super()._get_constructor_parameters(),
            "share_features_extractor": self.share_features_extractor,
            "core": self.core,
            "core_kwargs": self.core_kwargs,
            "shared_core": self.shared_core,
        }

    def _process_sequence(  # type: ignore[override]
        self,
        features: Tensor,
        lstm_states: tuple[Tensor, ...],
        episode_starts: Tensor,
        lstm: Core,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Runs a core on samples ordered by sequence, resets inside included.

        Args:
            features: (B, D) with B = N * T.
            lstm_states: h and c before the first step, each (1, N, hidden_size).
            episode_starts: (B,).
            lstm: the actor's or the critic's core.

        Returns:
            output (B, output_size) and the states after the last step.
        """
        h, c = lstm_states
        num_sequences = h.shape[1]
        # (N * T, ...) -> (T, N, ...)
        sequences = features.unflatten(0, (num_sequences, -1)).swapaxes(0, 1)
        starts = episode_starts.reshape(num_sequences, -1).swapaxes(0, 1)
        acts = lstm is self.lstm_actor and not torch.is_grad_enabled()
        if acts and isinstance(lstm, RIM):
            output, states, info = lstm(sequences, (h, c), starts, return_info=True)
            self.latest_info = RIMInfo._make(None if part is None else part[-1] for part in info)
        else:
            output, states = lstm(sequences, (h, c), starts)
        return output.swapaxes(0, 1).flatten(0, 1), states

    def _predict(  # type: ignore[override]
        self,
        observation: Tensor,
        lstm_states: tuple[Tensor, Tensor],
        episode_starts: Tensor,
        deterministic: bool = False,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """As the parent's, which would take observations for steps where their number changes."""
        episode_starts = episode_starts.reshape(-1)  # a single environment may tell one number
        count, of_state = episode_starts.shape[0], lstm_states[0].shape[1]
        if count != of_state:
            raise ValueError(
                f"{count} observations do not go with a state of {of_state} environments: begin "
                "with state=None where their number changes"
            )
        return super()._predict(observation, lstm_states, episode_starts, deterministic)

    @property
    def active_mask(self) -> Tensor | None:
        """The actor's RIMs that were active in the latest step without gradient, (N, K) bool.

        None before the first and with other cores.
        """
        return None if self.latest_info is None else self.latest_info.active_mask

    @torch.no_grad()
    def active_sets(
        self, obs: PyTorchObs, states: tuple[Tensor, Tensor], episode_starts: Tensor
    ) -> Tensor:
        """Tells which of the actor's RIMs are active at each step of some sequences.

        Args:
            obs: observations (T * N, ...), ordered by step.
            states: h and c before the first step, each (1, N, hidden_size).
            episode_starts: (T, N).

        Returns:
            bool (T, N, K).

        Raises:
            TypeError: the core has no RIMs.
        """
        if not isinstance(self.lstm_actor, RIM):
            raise TypeError(f"core {self.core!r} has no RIMs that could be active")
        features = self.extract_features(obs)
        pi_features = features[0] if isinstance(features, tuple) else features
        sequences = pi_features.unflatten(0, episode_starts.shape)
        info = self.lstm_actor(sequences, states, episode_starts, return_info=True)[2]
        return cast(Tensor, info.active_mask)

    def _latents(
        self, obs: PyTorchObs, lstm_states: RNNStates, episode_starts: Tensor
    ) -> tuple[Tensor, Tensor, RNNStates]:
        """Observations (B, ...) -> inputs of the action and value heads (B, ...), new states."""
        features = self.extract_features(obs)
        pi_features, vf_features = features if isinstance(features, tuple) else (features,) * 2
        pi, pi_states = self._process_sequence(
            pi_features, lstm_states.pi, episode_starts, self.lstm_actor
        )
        if not torch.is_grad_enabled():
            self.acted_mask = self.active_mask
        vf, vf_states = pi, pi_states
        if self.lstm_critic is not None:
            vf, vf_states = self._process_sequence(
                vf_features, lstm_states.vf, episode_starts, self.lstm_critic
            )
        latent_pi = self.mlp_extractor.forward_actor(pi)
        latent_vf = self.mlp_extractor.forward_critic(vf)
        return latent_pi, latent_vf, RNNStates(pi_states, vf_states)

    def forward(  # type: ignore[override]
        self,
        obs: PyTorchObs,
        lstm_states: RNNStates | None = None,
        episode_starts: Tensor | None = None,
        deterministic: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor, RNNStates]:
        """Acts: observations (N, ...) -> actions, values, log probabilities, new states.

        Raises:
            TypeError: without states, as algorithms for policies without memory call it.
        """
        if lstm_states is None or episode_starts is None:
            raise TypeError(
                f"{type(self).__name__} acts with a state: train it with "
                "sb3_contrib.RecurrentPPO or rims_rl.RecurrentPPO"
            )
        latent_pi, latent_vf, states = self._latents(obs, lstm_states, episode_starts)
        distribution = self._get_action_dist_from_latent(latent_pi)
        actions = distribution.get_actions(deterministic=deterministic)
        log_prob = distribution.log_prob(actions)
        assert self.action_space.shape is not None
        actions = actions.reshape(-1, *self.action_space.shape)
        return actions, self.value_net(latent_vf), log_prob, states

    def evaluate_actions(  # type: ignore[override]
        self, obs: PyTorchObs, actions: Tensor, lstm_states: RNNStates, episode_starts: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values (B, 1), log probabilities (B,) and entropies (B,) of actions once taken."""
        latent_pi, latent_vf, _ = self._latents(obs, lstm_states, episode_starts)
        distribution = self._get_action_dist_from_latent(latent_pi)
        if isinstance(self.action_space, spaces.MultiBinary):
            actions = actions.float()  # stored as int8, which torch's Bernoulli refuses
        return self.value_net(latent_vf), distribution.log_prob(actions), distribution.entropy()

    def predict_values(  # type: ignore[override]
        self, obs: PyTorchObs, lstm_states: tuple[Tensor, Tensor], episode_starts: Tensor
    ) -> Tensor:
        """Values (N, 1) of observations (N, ...)."""
        features = self.extract_features(obs)
        vf_features = features[1] if isinstance(features, tuple) else features
        core = self.lstm_actor if self.lstm_critic is None else self.lstm_critic
        acted = self.latest_info
        vf, _ = self._process_sequence(vf_features, lstm_states, episode_starts, core)
        self.latest_info = acted  # this was no step of the actor
        values: Tensor = self.value_net(self.mlp_extractor.forward_critic(vf))
        return values


class MlpRimPolicy(CorePolicy):
    """Recurrent policy for vectors; see `CorePolicy`."""

    def __init__(self, observation_space: spaces.Space[Any], *args: Any, **kwargs: Any) -> None:
        if "features_extractor_class" not in kwargs:
            if isinstance(observation_space, spaces.Dict):
                raise ValueError(
                    "MlpRimPolicy reads vectors: use MultiInputRimPolicy for dictionaries, such as "
                    f"these of {', '.join(map(str, observation_space))}"
                )
            if is_image_space(observation_space):
                warnings.warn(
                    f"the observations, {observation_space.shape}, look like images, and "
                    "MlpRimPolicy reads them as vectors: CnnRimPolicy has a CNN for them",
                    stacklevel=2,
                )
        super().__init__(observation_space, *args, **kwargs)


class CnnRimPolicy(CorePolicy):
    """Recurrent policy for images: the paper's CNN, then as `CorePolicy`, linear heads."""

    def __init__(self, observation_space: spaces.Space[Any], *args: Any, **kwargs: Any) -> None:
        extractor = kwargs.setdefault(
            "features_extractor_class", self.extractor_for(observation_space)
        )
        kwargs.setdefault("net_arch", [])
        if not kwargs.get("normalize_images", True) and issubclass(extractor, AtariCnn):
            # As SB3 does for its own CNN: images of any numbers.
            given = kwargs.get("features_extractor_kwargs") or {}
            kwargs["features_extractor_kwargs"] = {"normalized_image": True, **given}
        super().__init__(observation_space, *args, **kwargs)

    @functools.cached_property
    def _is_image(self) -> bool:
        """Tells whether SB3 takes the observations for an image, whose bytes it divides by 255."""
        return is_image_space(self.observation_space)

    @staticmethod
    def extractor_for(space: spaces.Space[Any]) -> type[BaseFeaturesExtractor]:
        """See `CorePolicy.extractor_for`."""
        return AtariCnn

    def extract_features(  # type: ignore[override]
        self, obs: PyTorchObs, features_extractor: BaseFeaturesExtractor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """As the parent's; our CNN gets an image's bytes, which it scales faster than SB3 does."""
        features: Tensor | tuple[Tensor, Tensor]
        if self.share_features_extractor and self.normalize_images:
            extractor = features_extractor or self.features_extractor
            is_bytes = isinstance(obs, Tensor) and obs.dtype == torch.uint8
            if isinstance(extractor, AtariCnn) and is_bytes and self._is_image:
                features = extractor(obs)
                return features
        features = super().extract_features(obs, features_extractor)
        return features


class MultiInputRimPolicy(CorePolicy):
    """Recurrent policy for dictionaries of observations, then as `CorePolicy`.

    Features come from `GridExtractor` where the observations are those of our MiniGrid
    environments, with what it does not read appended, else from SB3's `CombinedExtractor`.
    """

    def __init__(self, observation_space: spaces.Dict, *args: Any, **kwargs: Any) -> None:
        if not isinstance(observation_space, spaces.Dict):
            raise ValueError(
                f"MultiInputRimPolicy reads dictionaries of observations, got {observation_space}: "
                "use MlpRimPolicy for vectors and CnnRimPolicy for images"
            )
        extractor = kwargs.setdefault(
            "features_extractor_class", self.extractor_for(observation_space)
        )
        if extractor is CombinedExtractor:
            _check_combined(observation_space, kwargs.get("normalize_images", True))
        if extractor is GridExtractor and (ignored := GridExtractor.not_read(observation_space)):
            given = kwargs.get("features_extractor_kwargs") or {}
            kwargs["features_extractor_class"] = AppendingExtractor
            kwargs["features_extractor_kwargs"] = {
                "extractor": GridExtractor, "appended": ignored, **given
            }  # fmt: skip
        super().__init__(observation_space, *args, **kwargs)

    @staticmethod
    def extractor_for(space: spaces.Space[Any]) -> type[BaseFeaturesExtractor]:
        """See `CorePolicy.extractor_for`."""
        return GridExtractor if GridExtractor.fits(space) else CombinedExtractor


def _check_combined(space: spaces.Dict, normalize_images: bool) -> None:
    """Raises a ValueError for what SB3's `CombinedExtractor` stumbles over."""
    for name, entry in space.spaces.items():
        if isinstance(entry, spaces.Text):
            raise ValueError(
                f"observation {name!r} is text, which no policy reads: rims_rl.make_vec_env gives "
                "MiniGrid's missions as numbers; other environments need a wrapper"
            )
        is_image = is_image_space(entry, normalized_image=not normalize_images)
        if is_image and sorted(entry.shape or ())[1] < SMALLEST_IMAGE:
            raise ValueError(
                f"observation {name!r} is an image of {entry.shape}, and SB3's CNN needs at least "
                f"{SMALLEST_IMAGE} x {SMALLEST_IMAGE}: pass features_extractor_class"
            )
