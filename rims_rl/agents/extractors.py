"""Features of symbolic grid observations, conditioned on a mission."""

from __future__ import annotations

import math

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn
from torch.nn import functional

from rims_rl.agents.rows import append, make_head

_CHANNELS = 3
"""Type, colour and state: what a cell of a symbolic grid holds."""
_MOST_SYMBOLS = 256
"""More are no symbols but amounts, but for words."""
_READ = ("grid", "target", "mission", "direction")
"""The entries of an observation that may be read."""


class SymbolEmbedding(nn.Module):
    """Turns (type, colour, state) symbols into vectors: the sum of one vector for each.

    Args:
        sizes: How many types, colours and states there are.
        dim: Length D of the vectors.
    """

    def __init__(self, sizes: tuple[int, int, int], dim: int) -> None:
        super().__init__()
        self.types, self.colours, self.states = (nn.Embedding(size, dim) for size in sizes)
        # About unit length, so that the match channel is as large as the others. With standard
        # normal entries a recurrent PPO took four times as many steps to half success.
        for embedding in (self.types, self.colours, self.states):
            nn.init.normal_(embedding.weight, std=dim**-0.5)
        self._sizes = sizes

    def forward(self, grid: Tensor) -> Tensor:
        """Embed every cell.

        Args:
            grid: Symbols (B, W, W, 3), whole numbers of any dtype.

        Returns:
            Vectors (B, W·W, D).
        """
        _, colours, states = self._sizes
        type_, colour, state = grid.flatten(1, 2).long().unbind(-1)  # (B, W, W, 3) -> 3 x (B, W·W)
        # One gather from the table of all sums costs a third of three gathers and two additions.
        table = (
            self.types.weight[:, None, None] + self.colours.weight[:, None] + self.states.weight
        ).flatten(0, 2)
        return functional.embedding((type_ * colours + colour) * states + state, table)

    def kind(self, target: Tensor) -> Tensor:
        """Embed the kind of an object, state left out.

        Args:
            target: Type and colour (B, 2), whole numbers of any dtype.

        Returns:
            Vectors (B, D), from the same tables as the grid's.
        """
        type_, colour = target.long().unbind(-1)
        vectors: Tensor = self.types(type_) + self.colours(colour)
        return vectors


class WordsEncoder(nn.Module):
    """Reads a mission of word numbers with a GRU; its last state is the query.

    Args:
        num_words: Size of the vocabulary, padding (number 0) included.
        dim: Length D of the query.
    """

    def __init__(self, num_words: int, dim: int) -> None:
        super().__init__()
        self.words = nn.Embedding(num_words, dim, padding_idx=0)
        self.gru = nn.GRU(dim, dim, batch_first=True)

    def forward(self, mission: Tensor) -> Tensor:
        """Encode missions.

        Args:
            mission: Word numbers (B, L), 0 after the last word.

        Returns:
            Queries (B, D).
        """
        # A batch holds few different missions, as each lasts an episode: read each of them once.
        distinct, index = mission.long().unique(dim=0, return_inverse=True)
        lengths = (distinct != 0).sum(1).clamp(min=1)  # (B, L) -> (M,)
        states, _ = self.gru(self.words(distinct[:, : int(lengths.max())]))
        last: Tensor = states[torch.arange(len(distinct), device=mission.device), lengths - 1]
        return last[index]


class GridExtractor(BaseFeaturesExtractor):
    """Features of a partial symbolic view whose meaning depends on the mission.

    For the Dict observations of MiniGrid, BabyAI and object picking. The mission becomes a query
    vector: the sum of the target's type and colour vectors, or the last state of a GRU over the
    mission's words. The query conditions every cell in two multiplicative ways, the same for
    every recurrent core that follows:

    - FiLM: the query scales and shifts the cells' channels;
    - match: the query's dot product with the cell's embedding is one more channel. A `target`
      is embedded with the grid's own tables, so that from the first step on the cell that holds
      the target stands out (about 2, against 1 where only type or colour agree and 0 elsewhere).

    A small convolution and a linear layer, which keeps where things are, make the features. A
    `direction`, where there is one, is appended as one-hot.

    Args:
        observation_space: Dict with `grid` (W, W, 3) of type, colour and state, and either
            `target` (2,), type and colour, or `mission` (L,), word numbers padded with 0;
            optionally `direction` (1,). All boxes whose upper bounds are the largest symbols.
        features_dim: Length of the features.
        embedding_dim: Length of the cells' and the query's vectors.
        cell_channels: Channels of a cell after FiLM.
        conv_channels: Channels after the convolution.
        rows: Whether the result is a row for each position of the convolution's map, see
            `rims_rl.agents.rows.PositionedRows`, instead of one vector.

    Raises:
        ValueError: If the space lacks a grid or a mission, or there is no room for directions.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        features_dim: int = 128,
        embedding_dim: int = 32,
        cell_channels: int = 16,
        conv_channels: int = 16,
        rows: bool = False,
    ) -> None:
        _check_space(observation_space)
        super().__init__(observation_space, features_dim)
        self.rows = rows
        grid = observation_space["grid"]
        assert isinstance(grid, spaces.Box)
        types, colours, states = (int(high) + 1 for high in grid.high.max(axis=(0, 1)))
        self.symbols = SymbolEmbedding((types, colours, states), embedding_dim)
        self.words = (
            WordsEncoder(_count(observation_space["mission"]), embedding_dim)
            if "mission" in observation_space.spaces
            else None
        )
        self.directions = (
            _count(observation_space["direction"]) if "direction" in observation_space.spaces else 0
        )
        if features_dim <= self.directions:
            raise ValueError(
                f"features_dim must be above the number of directions, {self.directions}, got "
                f"{features_dim}"
            )
        self.cell = nn.Linear(embedding_dim, cell_channels)
        self.film = nn.Linear(embedding_dim, 2 * cell_channels)
        self.conv = nn.Conv2d(cell_channels + 1, conv_channels, kernel_size=3)
        self._width = grid.shape[0]
        map_shape = self._width - 2, self._width - 2
        self.readout = make_head(conv_channels, map_shape, features_dim - self.directions, rows)

    @staticmethod
    def fits(space: spaces.Space[object]) -> bool:
        """Tells whether the observations are of the kind that this extractor reads."""
        if not isinstance(space, spaces.Dict):
            return False
        return _has_shapes(space) and all(
            _is_symbolic(space[key], math.inf if key == "mission" else _MOST_SYMBOLS)
            for key in _READ
            if key in space.spaces
        )

    @staticmethod
    def not_read(space: spaces.Dict) -> list[str]:
        """Keys of the entries that this extractor ignores."""
        return [key for key in space.spaces if key not in _READ]

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """Extract features.

        Args:
            observations: The space's entries, each with a leading axis B.

        Returns:
            Features (B, features_dim), or rows of them (B, R, features_dim).
        """
        cells = self.symbols(observations["grid"])  # (B, W, W, 3) -> (B, W·W, D)
        query = self._query(observations)
        match = cells @ query.unsqueeze(-1)  # (B, W·W, D) -> (B, W·W, 1)
        scale, shift = self.film(query).unsqueeze(1).chunk(2, dim=-1)  # (B, D) -> 2 x (B, 1, C)
        conditioned = functional.relu((1 + scale) * self.cell(cells) + shift)
        channels = torch.cat([conditioned, match], dim=-1)
        side = self._width
        image = channels.transpose(1, 2).unflatten(-1, (side, side))  # -> (B, C + 1, W, W)
        features = functional.relu(self.readout(functional.relu(self.conv(image)).flatten(1)))
        if not self.directions:
            return features
        compass = functional.one_hot(observations["direction"].long().squeeze(-1), self.directions)
        return append(features, compass)

    def _query(self, observations: dict[str, Tensor]) -> Tensor:
        """Encode the mission: (B, 2) or (B, L) -> (B, D)."""
        if self.words is None:
            return self.symbols.kind(observations["target"])
        query: Tensor = self.words(observations["mission"])
        return query


def _has_shapes(space: spaces.Dict) -> bool:
    """Tells whether the entries that are read are boxes of the right shapes."""
    read = {key: space.spaces[key] for key in _READ if key in space.spaces}
    shapes = {key: entry.shape for key, entry in read.items() if isinstance(entry, spaces.Box)}
    width = shapes.get("grid", ())[:1]
    return (
        len(shapes) == len(read)
        and shapes.get("grid") == (*width, *width, _CHANNELS)
        and ("target" in shapes) != ("mission" in shapes)
        and shapes.get("target", (2,)) == (2,)
        and len(shapes.get("mission", (0,))) == 1
        and shapes.get("direction", (1,)) == (1,)
    )


def _is_symbolic(box: spaces.Space[object], most: float) -> bool:
    """Tells whether a box has symbols: whole numbers from 0, below so many."""
    assert isinstance(box, spaces.Box)
    is_whole = np.issubdtype(box.dtype, np.integer)
    # An array of bytes in some memory layouts, compared with 256, crashes NumPy 2.0 and 2.1.
    return bool(is_whole and not box.low.any() and int(box.high.max(initial=0)) < most)


def _count(space: spaces.Space[object]) -> int:
    """The number of symbols in a box that starts at 0."""
    assert isinstance(space, spaces.Box)
    return int(space.high.max()) + 1


def _check_space(space: spaces.Dict) -> None:
    if not isinstance(space, spaces.Dict) or not _has_shapes(space):
        raise ValueError(
            "GridExtractor needs a Dict observation with a box 'grid' (W, W, 3) of symbols and"
            " either 'target' or 'mission', as rims_rl's MiniGrid environments give"
        )
