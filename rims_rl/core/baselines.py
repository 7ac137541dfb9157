"""The cores that RIMs are compared with: LSTM, GRU, plain RNN and no recurrence.

Axes: T time, B batch, D input features, S hidden units.
"""

from __future__ import annotations

import itertools

from torch import Tensor, cat, nn

from rims_rl.core.base import Core
from rims_rl.core.dynamics import State
from rims_rl.core.tracing import may_look_into


class _TorchCore(Core):
    """A recurrent layer of torch with resets inside the sequence.

    The sequence is cut where any episode starts, and each piece is one call of the layer.
    """

    layer: nn.RNNBase

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = self.output_size = hidden_size
        self.layer = self._make_layer(input_size, hidden_size)
        # As the RIMs' cells and the paper's PPO: orthogonal weights, no bias.
        for name, parameter in self.layer.named_parameters():
            if name.startswith("weight"):
                nn.init.orthogonal_(parameter)
            else:
                nn.init.zeros_(parameter)

    def _make_layer(self, input_size: int, hidden_size: int) -> nn.RNNBase:
        raise NotImplementedError

    def _run_piece(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Of layers with one state: hands c on."""
        output, h = self.layer(x, state[0])
        return output, (h, state[1])

    def run(self, x: Tensor, state: State, episode_starts: Tensor | None) -> tuple[Tensor, State]:
        """See `Core.run`."""
        if episode_starts is None:
            return self._run_piece(x, state)
        steps = x.shape[0]
        if not may_look_into(episode_starts):
            cuts = list(range(steps + 1))
        elif bool(episode_starts.any()):
            reset_steps = episode_starts.any(dim=1).nonzero().flatten().tolist()
            cuts = sorted({0, *reset_steps, steps})
        else:
            return self._run_piece(x, state)
        outputs = []
        for start, stop in itertools.pairwise(cuts):
            keep = (1.0 - episode_starts[start].to(x.dtype)).unsqueeze(-1)
            output, state = self._run_piece(x[start:stop], (state[0] * keep, state[1] * keep))
            outputs.append(output)
        return cat(outputs), state


class LSTM(_TorchCore):
    """`torch.nn.LSTM` with ``episode_starts``."""

    def _make_layer(self, input_size: int, hidden_size: int) -> nn.RNNBase:
        return nn.LSTM(input_size, hidden_size)

    def _run_piece(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        output, state = self.layer(x, state)
        return output, state


class GRU(_TorchCore):
    """`torch.nn.GRU` with ``episode_starts``; c of the state is there and not used."""

    def _make_layer(self, input_size: int, hidden_size: int) -> nn.RNNBase:
        return nn.GRU(input_size, hidden_size)


class RNN(_TorchCore):
    """`torch.nn.RNN` (Elman, tanh) with ``episode_starts``; c of the state is not used."""

    def _make_layer(self, input_size: int, hidden_size: int) -> nn.RNNBase:
        return nn.RNN(input_size, hidden_size)


class FeedForward(Core):
    """No recurrence: hands the input on, so that a policy with it is a plain PPO policy."""

    #: RecurrentPPO stores a state for every core; this one's is never read.
    hidden_size = 1

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.input_size = self.output_size = input_size

    def run(self, x: Tensor, state: State, episode_starts: Tensor | None) -> tuple[Tensor, State]:
        """Hands on x (T, B, D) and the state."""
        return x, state
