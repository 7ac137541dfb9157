"""The base of all cores: layers in the manner of `torch.nn.LSTM` whose episodes start anywhere.

Axes: T time, B batch, D input features, S units of the state.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from rims_rl.core.dynamics import State
from rims_rl.core.tracing import is_tracing, may_look_into


class Core(nn.Module):
    """A recurrent layer between features and heads; subclasses write `run`, or `forward` itself.

    Attributes:
        input_size: features D that it reads.
        hidden_size: units S of each of the two tensors of its state.
        output_size: features that it gives.
        num_layers: sb3-contrib asks for it; always 1.
        reads_rows: whether a step's input may have several rows, (T, B, R, D).
    """

    num_layers = 1
    reads_rows = False
    input_size: int
    hidden_size: int
    output_size: int

    def run(self, x: Tensor, state: State, episode_starts: Tensor | None) -> tuple[Tensor, State]:
        """Runs over a sequence whose shapes are checked.

        Args:
            x: (T, B, D).
            state: (h, c), each (1, B, S); a core that needs one tensor hands c on, zeroed where an
                episode starts.
            episode_starts: (T, B), of the type of x; where it is 1 the state is zeroed before that
                step. None: none.

        Returns:
            output (T, B, output_size) and the state after the last step.
        """
        raise NotImplementedError

    def forward(
        self, x: Tensor, state: State | None = None, episode_starts: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Runs over a sequence, or over one without a batch as `torch.nn.LSTM` does.

        Args:
            x: (T, B, D); (T, B, R, D) with several rows where the core reads them; or (T, D).
            state: (h, c), each (1, B, S), or (1, S); zeros if None.
            episode_starts: (T, B), or (T); where it is 1 the state is zeroed before that step.

        Returns:
            output (T, B, output_size), or (T, output_size), and the state after the last step.

        Raises:
            TypeError: x is no tensor.
            ValueError: a shape does not fit.
        """
        check_tensors(x, state, episode_starts)
        if x.dim() == 2:
            output, new_state = Core.forward(self, *add_batch(x, state, episode_starts))
            return output.squeeze(1), without_batch(new_state)
        check_sequence(self, x, state, episode_starts)
        if x.dim() == 4 and not self.reads_rows:
            raise ValueError(f"{type(self).__name__} reads one row a step, (T, B, D)")
        starts = None if episode_starts is None else episode_starts.to(x.dtype)
        results = self.run(x, state or initial_state(x, self.hidden_size), starts)
        self._check_results(x, results)
        return results

    def _check_results(self, x: Tensor, results: object) -> None:
        """Raises an error if a core's own `run` does not give what it should."""
        match results:
            case (Tensor() as output, (Tensor(), Tensor()) as state):
                pass
            case _:
                raise TypeError(f"{type(self).__name__}.run must give output, (h, c), all tensors")
        steps, batch = x.shape[:2]
        wanted = {
            "output": (output, (steps, batch, self.output_size)),
            "state h": (state[0], (1, batch, self.hidden_size)),
            "state c": (state[1], (1, batch, self.hidden_size)),
        }
        for name, (tensor, shape) in wanted.items():
            if tensor.shape != shape:
                raise ValueError(
                    f"{type(self).__name__}.run must give {name} {shape}, got {tuple(tensor.shape)}"
                )


def check_tensors(x: object, state: object, episode_starts: object) -> None:
    """Raises an error where what a core is called with are no tensors.

    Raises:
        TypeError: x, a part of the state or episode_starts is something else.
        ValueError: the state is no pair.
    """
    if isinstance(x, PackedSequence):
        raise TypeError("x must be a tensor (T, B, D), no PackedSequence: pad to one length")
    named = {"x": x}
    if state is not None:
        if not (isinstance(state, Sequence) and len(state) == 2):
            raise ValueError("state must be a pair (h, c)")
        if any(part is None for part in state):
            raise TypeError("state must be a pair of tensors (h, c), or None")
        named["state h"], named["state c"] = state
    if episode_starts is not None:
        named["episode_starts"] = episode_starts
    for name, part in named.items():
        if not isinstance(part, Tensor):
            raise TypeError(f"{name} must be a tensor, got {type(part).__name__}: torch.as_tensor")


def add_batch(
    x: Tensor, state: State | None, episode_starts: Tensor | None
) -> tuple[Tensor, State | None, Tensor | None]:
    """A batch of one: x (T, D), state (1, S) each and episode_starts (T) get an axis."""
    h, c = state or (None, None)
    wanted = {"state h": (h, 2), "state c": (c, 2), "episode_starts": (episode_starts, 1)}
    for name, (part, axes) in wanted.items():
        if part is not None and part.dim() != axes:
            shape = "(T,)" if axes == 1 else "(1, S)"
            raise ValueError(
                f"{name} of an input without a batch, {tuple(x.shape)}, must be {shape}, got "
                f"{tuple(part.shape)}"
            )
    with_axis = None if state is None else (state[0].unsqueeze(1), state[1].unsqueeze(1))
    starts = None if episode_starts is None else episode_starts.unsqueeze(1)
    return x.unsqueeze(1), with_axis, starts


def without_batch(state: State) -> State:
    """Takes the axis of a batch of one away: two of (1, 1, S) -> (1, S)."""
    return state[0].squeeze(1), state[1].squeeze(1)


def initial_state(x: Tensor, size: int) -> State:
    """A state of zeros for the input x (T, B, ...): two tensors (1, B, S)."""
    zeros = x.new_zeros(1, x.shape[1], size)
    return zeros, zeros


def keep_factors(episode_starts: Tensor | None, x: Tensor) -> Tensor | None:
    """The factors of the state before each step: (T, B) -> (T, B), or None.

    None if no episode starts, so that the common case costs nothing.
    """
    if episode_starts is None:
        return None
    # A look would break what `torch.compile` traces.
    may_look = not torch.compiler.is_compiling() and may_look_into(episode_starts)
    if may_look and not bool(episode_starts.any()):
        return None
    return 1.0 - episode_starts.to(x.dtype)


def handed_on(c: Tensor, keep: Tensor | None) -> Tensor:
    """A state that a core does not use, (1, B, S), after a sequence: zero where an episode began.

    Args:
        c: before the sequence.
        keep: of `keep_factors`.
    """
    return c if keep is None else c * keep.prod(0).unsqueeze(-1)


def check_sequence(
    core: Core, x: Tensor, state: State | None, episode_starts: Tensor | None
) -> None:
    """Raises a ValueError that names the argument whose shape does not fit a core."""
    size = core.input_size
    if x.dim() not in (3, 4) or x.shape[-1] != size or x.shape[0] == 0:
        shapes = f"(T, {size}) or (T, B, {size})"
        if core.reads_rows:
            shapes = f"(T, {size}), (T, B, {size}) or (T, B, R, {size})"
        raise ValueError(f"x must be {shapes} with T >= 1, got {tuple(x.shape)}")
    steps, batch = x.shape[:2]
    if episode_starts is not None and is_tracing():
        raise ValueError("torch.jit.trace would record where episodes start: use torch.export")
    for name, tensor in zip("hc", state or (), strict=False):
        if tensor.shape != (1, batch, core.hidden_size):
            raise ValueError(
                f"state {name} must be (1, {batch}, {core.hidden_size}), got {tuple(tensor.shape)}"
            )
    if episode_starts is not None and episode_starts.shape != torch.Size([steps, batch]):
        raise ValueError(
            f"episode_starts must be ({steps}, {batch}), got {tuple(episode_starts.shape)}"
        )
