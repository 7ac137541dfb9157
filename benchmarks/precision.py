"""Effects of bfloat16 convolutions in PPO: probability ratios and gradients of a stored Pong run.

    python benchmarks/precision.py runs/pong/rim

Plays one rollout with the run's newest checkpoint in each precision. Before any update the ratio
of probabilities, at the update over those at collection, should be 1; what it is says how much
rounding is taken for a change of policy. Then the gradient of PPO's loss on each minibatch in
bfloat16 is compared with that in float32, and with float32's on the next minibatch: how much
gradients differ by the samples alone. Writes results/speed/precision.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from report import RESULTS, provenance, write_json
from torch import Tensor

from rims_rl.agents import CnnRimPolicy, RecurrentPPO
from rims_rl.core.precision import Precision
from rims_rl.training.building import make_env
from rims_rl.training.loading import load_model, load_trained


def played(run: Path, precision: Precision) -> tuple[RecurrentPPO, list[Any]]:
    """The model of a run with the minibatches of a rollout that it collected in this precision."""
    stored = load_trained(run, "final", "cpu")
    assert stored.env is not None
    env = make_env(stored.env, stored.model.n_envs, 0, stored.env_kwargs)
    model = load_model(stored.file, "cpu", RecurrentPPO, env=env)
    assert isinstance(model, RecurrentPPO)
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 (SB3 draws the minibatches from numpy's global generator)
    compute_in(model, precision)
    _, callback = model._setup_learn(model.n_steps * model.n_envs)
    model.collect_rollouts(env, callback, model.rollout_buffer, model.n_steps)
    return model, list(model.rollout_buffer.get(model.batch_size))


def compute_in(model: RecurrentPPO, precision: Precision) -> None:
    """Changes the precision of the policy's CNN."""
    model.policy.features_extractor.precision = precision  # type: ignore[assignment]


def ratio_and_loss(model: RecurrentPPO, batch: Any) -> tuple[Tensor, Tensor]:
    """Probability ratios (B,) of a minibatch and PPO's loss, unclipped."""
    policy = model.policy
    assert isinstance(policy, CnnRimPolicy)
    values, log_prob, entropy = policy.evaluate_actions(
        batch.observations, batch.actions.flatten(), batch.lstm_states, batch.episode_starts
    )
    assert entropy is not None
    ratio = (log_prob - batch.old_log_prob).exp()
    advantages = (batch.advantages - batch.advantages.mean()) / batch.advantages.std()
    errors = (batch.returns - values.flatten()).square().mean()
    loss = model.vf_coef * errors - (advantages * ratio).mean() - model.ent_coef * entropy.mean()
    return ratio.detach(), loss


def gradient(model: RecurrentPPO, batch: Any) -> Tensor:
    """The loss's gradient of all parameters, one after the other."""
    model.policy.zero_grad()
    ratio_and_loss(model, batch)[1].backward()
    grads = [p.grad.flatten() for p in model.policy.parameters() if p.grad is not None]
    return torch.cat(grads).clone()


def cosine(one: Tensor, other: Tensor) -> float:
    """Of the angle between two gradients."""
    return float(torch.nn.functional.cosine_similarity(one, other, dim=0))


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    run: Path = parser.parse_args().run
    ratios: dict[str, dict[str, float]] = {}
    for precision in get_args(Precision):
        model, batches = played(run, precision)
        off = torch.cat([ratio_and_loss(model, batch)[0] for batch in batches]).sub(1).abs()
        ratios[precision] = {"median": float(off.median()), "largest": float(off.max())}
        print(f"{precision}: probability ratio off 1 by {ratios[precision]}")
    model, batches = played(run, "float32")
    full = [gradient(model, batch) for batch in batches]
    compute_in(model, "bfloat16")
    half = [gradient(model, batch) for batch in batches]
    cosines = {
        "bfloat16 to float32, same minibatch": list(map(cosine, half, full)),
        "float32, next minibatch": list(map(cosine, full, [*full[1:], full[0]])),
    }
    for name, values in cosines.items():
        print(f"cosine of gradients, {name}: {np.round(values, 4).tolist()}")
    write_json(
        RESULTS / "precision.json",
        {
            **provenance(),
            "probability ratio before an update, distance from 1": ratios,
            "cosine of gradients": cosines,
        },
    )


if __name__ == "__main__":
    main()
