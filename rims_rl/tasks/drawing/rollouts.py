"""Rollouts of stored video models: true frames first, then the model's own predictions.

Axes: T time, B batch, Y rows and X columns of a frame. Frames are counted from 0: the first one
that a model predicts is frame 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rims_rl.experiments.store import StoredRun
from rims_rl.runs.errors import UsageError
from rims_rl.tasks.metrics import frame_bce
from rims_rl.tasks.stored_videos import as_frames, unit
from rims_rl.tasks.video import VideoTask
from rims_rl.tasks.video_models import VideoModel, rollout
from rims_rl.tasks.wanted import load_trained_run

Floats = NDArray[np.float32]

#: Figures show the first video of a test set: chosen by nobody.
FIRST = 0


@dataclass(frozen=True)
class Rollout:
    """A model's prediction of one test video.

    Attributes:
        given: true frames that the model saw; frames 1 to `given` were predicted from these alone.
        true: grey values in [0, 1], (T, Y, X).
        predicted: the same of frames 1 to T - 1, (T - 1, Y, X).
        bce: cross-entropy of frames 1 to T - 1 in nats per pixel.
    """

    given: int
    true: Floats
    predicted: Floats
    bce: list[float]

    @property
    def inputs(self) -> Floats:
        """The frames that the model saw, true ones and then its own, (T - 1, Y, X)."""
        return np.concatenate([self.true[: self.given], self.predicted[self.given - 1 : -1]])

    def rolled_bce(self, count: int) -> float:
        """Mean cross-entropy of the first so many rolled out frames."""
        return float(np.mean(self.bce[self.given : self.given + count]))

    def frames(self, step: int, start: int = 1) -> list[int]:
        """The numbers of the predicted frames from `start` on that a strip shows."""
        return list(range(start, len(self.true), step))


def video_task(run: StoredRun) -> VideoTask[Any]:
    """The task of a run of a video task."""
    task = load_trained_run(run).task
    assert isinstance(task, VideoTask)
    return task


def video_model(run: StoredRun) -> VideoModel:
    """The model of a run of a video task."""
    model = load_trained_run(run).model
    assert isinstance(model, VideoModel)
    return model


def true_frames(run: StoredRun, test_set: str, videos: slice) -> Tensor:
    """Some test videos, grey values (T, B, 1, Y, X)."""
    return unit(as_frames(video_task(run).test_videos(test_set)[videos]))


def roll_out(
    run: StoredRun,
    test_set: str,
    video: int = FIRST,
    masked_rim: int | None = None,
    *,
    only_true: bool = False,
) -> Rollout:
    """Lets a model predict a test video.

    Args:
        run: of a video task with frames of one channel.
        test_set: of the run's task.
        video: its number in the test set.
        masked_rim: see `VideoModel.forward`.
        only_true: whether the model sees true frames to the end.

    Raises:
        UsageError: the test set has no such video.
    """
    true = true_frames(run, test_set, slice(video, video + 1))
    if not true.shape[1]:
        raise UsageError(
            f"{run.folder}: the test set {test_set} has no video {video + 1}: train with a larger "
            "test_size"
        )
    given = len(true) - 1 if only_true else video_task(run).options.given
    with torch.no_grad():
        logits = rollout(video_model(run), true, given, masked_rim)
    predicted: Floats = logits.sigmoid().numpy()[:, 0, 0]
    return Rollout(given, true.numpy()[:, 0, 0], predicted, frame_bce(logits, true[1:]).tolist())
