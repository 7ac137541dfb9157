"""Models of the sequence tasks: an encoder of each step, a core, a linear head.

Axes: T time, B batch, D features of a step, S units of the core, O outputs.
"""

from __future__ import annotations

from torch import Tensor, nn

from rims_rl.tasks.cores import make_task_core
from rims_rl.tasks.input_per_rim import masked_count
from rims_rl.tasks.options import ModelOptions


class SequenceModel(nn.Module):
    """Maps a sequence of tokens or rows to outputs at each step or at the last alone.

    Args:
        encoder: maps inputs (T, B) or (T, B, ...) to features (T, B, D).
        size: number D of features.
        config: the core.
        outputs: number O of outputs.
        last_only: whether the head reads the last step alone.
    """

    def __init__(
        self, encoder: nn.Module, size: int, config: ModelOptions, outputs: int, *, last_only: bool
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.core = make_task_core(config, size)
        self.head = nn.Linear(self.core.output_size, outputs)  # type: ignore[arg-type]
        self.last_only = last_only

    def forward(self, inputs: Tensor) -> Tensor:
        """Runs over whole sequences: (T, B, ...) -> (T, B, O), or (B, O) with last_only."""
        features, _ = self.core(self.encoder(inputs))
        head: Tensor = self.head(features[-1] if self.last_only else features)
        return head


def param_count(model: nn.Module) -> int:
    """The number of a model's parameters that are learned."""
    return sum(parameter.numel() for parameter in model.parameters()) - masked_count(model)
