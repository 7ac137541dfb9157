"""Parts that the tasks on whole frames share: teacher forcing in training, rollouts in the test.

Axes: N sequences, T time, B batch, C channels, Y rows and X columns of a frame.
"""

from __future__ import annotations

from typing import Any, TypeVar

from torch import Tensor, nn

from rims_rl.tasks.common_options import RolloutOptions
from rims_rl.tasks.metrics import frame_bce
from rims_rl.tasks.stored_videos import EVAL_BATCH, StoredVideoTask, as_frames, unit
from rims_rl.tasks.task import RECURRENT, Batch, chunks, on_device_of, weighted_mean
from rims_rl.tasks.video_cache import Videos
from rims_rl.tasks.video_models import VideoModel, rollout

Options = TypeVar("Options", bound=RolloutOptions)

#: Frames of the rollout whose error the paper follows over training (figure 15), counted from 1.
FOLLOWED = (4, 5)


class VideoTask(StoredVideoTask[Options]):
    """Predict each next frame of a video.

    The loss and ``bce`` are the binary cross-entropy in nats per pixel of the prediction from true
    frames; ``rollout_bce`` has one for each frame from the second on, the first `given` from true
    frames and the others from the model's own predictions.
    """

    cores = RECURRENT
    goal = "valid/bce"

    def batch(self, update: int) -> Batch:
        """Frames (T, B, C, Y, X), uint8."""
        return (as_frames(self.train_videos(update)),)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy of the next frames."""
        return _one_step_bce(model, unit(batch[0]))

    def validate(self, model: nn.Module) -> dict[str, float]:
        """One-step and rollout cross-entropy on sequences as in training."""
        size = min(self.options.rollout_size, len(self.valid_videos))
        frames = self.rollout_bce(model, self.valid_videos[:size])
        rolled = frames[self.options.given :]
        followed = {f"valid/rollout_bce_{n}": rolled[n - 1] for n in FOLLOWED if n <= len(rolled)}
        return {self.goal: self.bce(model, self.valid_videos), **followed}

    def test(self, model: nn.Module) -> dict[str, Any]:
        """One-step cross-entropy, and that of each frame of a rollout, on every data set."""
        metrics: dict[str, Any] = {}
        for name in self.test_names:
            videos = self.test_videos(name)
            metrics[f"bce_{name}"] = self.bce(model, videos)
            metrics[f"rollout_bce_{name}"] = self.rollout_bce(model, videos)
        return metrics

    def bce(self, model: nn.Module, videos: Videos) -> float:
        """Cross-entropy of all frames predicted from true ones."""
        parts = []
        for part in chunks(len(videos), EVAL_BATCH):
            (frames,) = on_device_of(model, (as_frames(videos[part]),))
            parts.append((frames.shape[1], _one_step_bce(model, unit(frames))))
        return float(weighted_mean(parts))

    def rollout_bce(
        self, model: nn.Module, videos: Videos, masked_rim: int | None = None
    ) -> list[float]:
        """Cross-entropy of frames 1 to T - 1 of rollouts.

        Args:
            model: of this task.
            videos: true ones.
            masked_rim: see `VideoModel.forward`.
        """
        assert isinstance(model, VideoModel)
        parts = []
        for part in chunks(len(videos), EVAL_BATCH):
            (frames,) = on_device_of(model, (as_frames(videos[part]),))
            true = unit(frames)
            logits = rollout(model, true, self.options.given, masked_rim)
            parts.append((true.shape[1], frame_bce(logits, true[1:])))
        mean: list[float] = weighted_mean(parts).tolist()
        return mean


def _one_step_bce(model: nn.Module, frames: Tensor) -> Tensor:
    logits, _ = model(frames[:-1])
    return frame_bce(logits, frames[1:]).mean()
