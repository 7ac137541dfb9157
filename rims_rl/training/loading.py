"""Finds and loads the model of a run, or of a bare zip file."""

from __future__ import annotations

import json
import textwrap
import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sb3_contrib import RecurrentPPO

from rims_rl.runs.checkpoints import newest_checkpoint
from rims_rl.runs.device import check_device
from rims_rl.runs.errors import UsageError, warn
from rims_rl.runs.folder import (
    BEST_MODEL,
    CHECKPOINTS,
    CONFIG,
    MODEL,
    RESULTS,
    begun_with,
    safe_name,
)
from rims_rl.training.checkpoints import FACTS
from rims_rl.training.parser import read_yaml
from rims_rl.training.scales import NORMALIZED, OBSERVATION_SCALE


@dataclass(frozen=True)
class Trained:
    """A trained model and where it came from.

    Attributes:
        model: loaded, without environments.
        file: it was loaded from.
        folder: where results about it go.
        env: id of the environment it was trained in, None if not known.
        env_kwargs: settings of that environment.
        scale: file of what its observations are normalised by, None if they are not.
    """

    model: RecurrentPPO
    file: Path
    folder: Path
    env: str | None
    env_kwargs: dict[str, Any]
    scale: Path | None


def load_trained(run: Path, checkpoint: str, device: str, normalize: str | None = None) -> Trained:
    """Loads the model of a run.

    Args:
        run: a run folder or a model's zip file.
        checkpoint: which model of a folder: ``final``, ``best`` or a zip file.
        device: to load it on.
        normalize: file of what observations are normalised by; None: the one beside the model.

    Raises:
        UsageError: there is no such model, or it cannot be read.
    """
    if not run.exists():
        named_as_saved = run.with_name(f"{run.name}.zip")  # SB3 adds the ending
        if not named_as_saved.is_file():
            raise UsageError(f"no such run folder or model: {run}")
        run = named_as_saved
    if run.is_file() and checkpoint != "final":
        raise UsageError(f"--checkpoint {checkpoint}: {run} is a model, not the folder of a run")
    file = run if run.is_file() else _model_file(run, checkpoint)
    folder = run.parent if run.is_file() else run
    if folder.name == CHECKPOINTS and (folder.parent / CONFIG).is_file():
        folder = folder.parent
    if not zipfile.is_zipfile(file):
        raise UsageError(f"{file} is damaged or no model: it is not a zip file")
    model = load_model(file, device)
    # What lies beside a bare model may be anybody's.
    ours = run.is_dir() or begun_with(folder) == "train"
    saved = read_yaml(folder / CONFIG) if ours and (folder / CONFIG).is_file() else {}
    scale = Path(normalize) if normalize else _scale_file(file)
    was_scaled = saved or getattr(model, NORMALIZED, model._last_original_obs is not None)
    if scale is not None and not (normalize or was_scaled):
        warn(
            f"{scale} is not used, as {file} was not trained under VecNormalize; "
            f"--normalize {scale} uses it"
        )
        scale = None
    if scale is None:
        if saved.get("normalize_observations") or getattr(model, NORMALIZED, False):
            warn(
                f"{file} was trained with normalised observations, and what they were normalised "
                "by is not beside it: give it with --normalize FILE"
            )
        elif not (saved or hasattr(model, NORMALIZED)) and model._last_original_obs is not None:
            warn(
                f"{file} was trained under VecNormalize: if that normalised observations, give its "
                "statistics with --normalize FILE"
            )
    if normalize and not saved.get("normalize_observations", True):
        warn(f"--normalize {normalize}: {file} was trained with observations as they are")
    return Trained(model, file, folder, saved.get("env"), saved.get("env_kwargs", {}), scale)


#: As users of SB3 call the statistics of `VecNormalize`.
_STOCK = "vecnormalize.pkl"


def load_model(
    file: Path, device: str, algorithm: type[RecurrentPPO] = RecurrentPPO, **kwargs: Any
) -> RecurrentPPO:
    """Loads a model that this version of the package can read.

    One of version 0.1 names the policies of `rims_rl.agents.policies`.

    Args:
        file: a zip file of `RecurrentPPO.save`.
        device: to load it on.
        algorithm: that goes on learning with it; any will do to act.
        **kwargs: as `RecurrentPPO.load`, such as env.

    Raises:
        UsageError: it cannot be read, or the device is not there.
    """
    check_device(device)
    try:
        return algorithm.load(file, device=device, **kwargs)
    except Exception as error:  # SB3 has no error of its own for a damaged file
        if isinstance(error, AttributeError) and "lstm_actor" in str(error):
            raise UsageError(
                f"{file} is no model of RecurrentPPO, but of an algorithm without memory"
            ) from None
        reason = textwrap.shorten(str(error) or type(error).__name__, 200, placeholder=" ...")
        raise UsageError(f"{file} cannot be loaded: {reason}") from None


def _scale_file(model: Path) -> Path | None:
    """The statistics beside a model: ours, or what users of SB3 and its Zoo have."""
    ours = model.with_suffix(".json")
    if _holds_scale(ours):
        return ours
    # The Zoo's are in a folder beside the model, with its settings.
    settings = model.parent.glob("*/args.yml")
    stock = [model.with_name(_STOCK), *(file.with_name(_STOCK) for file in settings)]
    return next((file for file in stock if file.exists()), None)


def _holds_scale(file: Path) -> bool:
    """Tells whether a file is JSON of ours with a scale of observations."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and bool(content.get(OBSERVATION_SCALE))


def name_of_results(trained: Trained, env_id: str) -> str:
    """A name that no other results have: of the environment, the model and the time."""
    return f"{safe_name(env_id)}-{trained.file.stem}-{datetime.now():%Y%m%d-%H%M%S-%f}"


def _steps_of(model: Path) -> int:
    """Agent steps that a model file has learned from; -1 if it does not say."""
    try:
        with zipfile.ZipFile(model) as file:
            return int(json.loads(file.read("data"))["num_timesteps"])
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return -1


def _model_file(folder: Path, checkpoint: str) -> Path:
    if checkpoint == "best":
        file = folder / BEST_MODEL
        if not file.is_file():
            raise UsageError(f"{folder} has no {BEST_MODEL}: use --checkpoint final")
        return file
    if checkpoint != "final":
        if not Path(checkpoint).is_file():
            raise UsageError(f"--checkpoint {checkpoint}: use final, best or a zip file")
        return Path(checkpoint)
    newest, model = newest_checkpoint(folder / CHECKPOINTS, FACTS), folder / MODEL
    # A run that went on has newer checkpoints than its model; a damaged one leaves older ones.
    if newest is not None and newest.facts["timesteps"] >= _steps_of(model):
        return newest.file
    if model.is_file():
        return model
    if begun_with(folder) == "tasks":
        raise UsageError(f"{folder} is no run of an agent: its test is in {folder / RESULTS}")
    message = f"{folder} holds no model: neither an intact checkpoint nor {MODEL}"
    if others := sorted(file.name for file in folder.glob("*.zip")):
        message += f"; to take a file of other programs give its path: {', '.join(others)}"
    raise UsageError(message)
