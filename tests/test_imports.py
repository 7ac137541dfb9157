"""The modules that an import loads, and what it makes known, each in a fresh process."""

import subprocess
import sys

import pytest

import rims_rl

HEAVY = ("stable_baselines3", "sb3_contrib", "gymnasium", "cv2", "ale_py", "wandb", "pandas",
         "torch._dynamo")  # fmt: skip
LIBRARIES = "import gymnasium as gym; from sb3_contrib import RecurrentPPO"
KNOWN = (
    "assert 'CnnRimPolicy' in RecurrentPPO.policy_aliases; "
    "assert 'rims_rl/CartPoleNoVelocity-v1' in gym.registry"
)


def run(code):
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_core_needs_torch_alone():
    run(f"import sys, rims_rl.core; assert not set({HEAVY!r}) & set(sys.modules)")


@pytest.mark.parametrize(
    "imports",
    [f"import rims_rl; {LIBRARIES}", f"{LIBRARIES}; import rims_rl.agents.core_policy"],
    ids=["first", "last"],
)
def test_ours_are_known_whichever_comes_first(imports):
    run(f"{imports}; {KNOWN}")


def test_public_names_are_there_and_others_are_not():
    assert all(hasattr(rims_rl, name) for name in rims_rl.__all__)
    assert not hasattr(rims_rl, "Rim")
