"""What a configuration builds."""

from __future__ import annotations

from typing import Any

import pytest

from rims_rl.agents.cnn import AtariCnn
from rims_rl.run.building import make_model, make_training_env
from rims_rl.run.errors import UsageError
from rims_rl.run.parser import resolve


def built(**options: Any) -> Any:
    """The model of `train` with these options."""
    config = resolve({"n_envs": 2, "n_minibatches": 1, "n_steps": 2, **options})
    env = make_training_env(config, 0)
    try:
        return make_model(config, env)
    finally:
        env.close()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_reaches_the_cnn(precision: str) -> None:
    model = built(env="PongNoFrameskip-v4", precision=precision)
    assert isinstance(model.policy.features_extractor, AtariCnn)
    assert model.policy.features_extractor.precision == precision


def test_precision_without_images_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--precision bfloat16 is for image observations"):
        built(env="CartPole-v1", precision="bfloat16")
