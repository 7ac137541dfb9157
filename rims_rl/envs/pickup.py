"""Object picking with distractors: the environment of the paper's section 4.2, as we read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from minigrid.core.constants import COLOR_NAMES, COLOR_TO_IDX, DIR_TO_VEC, OBJECT_TO_IDX
from minigrid.core.grid import Grid
from minigrid.core.mission import MissionSpace
from minigrid.core.world_object import Ball, Box, Key, WorldObj
from minigrid.minigrid_env import MiniGridEnv

from rims_rl.envs.minigrid import Observation, grid_space

Kind = tuple[str, str]
Cell = tuple[int, int]
Kinds = Literal["known", "novel"]
WrongPick = Literal["continue", "end"]

_CLASSES: dict[str, Callable[[str], WorldObj]] = {"ball": Ball, "key": Key, "box": Box}
_COLOURS = tuple(COLOR_TO_IDX)

NOVEL_KINDS: tuple[Kind, ...] = tuple(
    (tuple(_CLASSES)[index % len(_CLASSES)], colour) for index, colour in enumerate(_COLOURS)
)
"""(type, colour) of distractors met in evaluation only: one type of each colour, two colours of
each type, so that what is new is a combination, never a type or a colour."""

KNOWN_KINDS: tuple[Kind, ...] = tuple(
    (type_, colour)
    for type_ in _CLASSES
    for colour in _COLOURS
    if (type_, colour) not in NOVEL_KINDS
)
"""(type, colour) of every target and of the distractors met in training."""


class PickupDistractors(MiniGridEnv):
    """Pick up the object that the mission names, among distractors, seeing only what lies ahead.

    The paper (section 4.2) gives neither an environment id nor sizes; this is our reading of it,
    close to `BabyAI-PickupDist-v0`.

    Description:
        One square room without inner walls holds the target and `num_distractors` other
        objects. Kinds are the 18 pairs of type (ball, key, box) and colour. The target is of a
        known kind; distractors are known or novel ones, drawn with replacement, never of the
        target's kind. The target can always be reached without moving anything.

    Mission:
        `pick up the {colour} {type}`, given to the agent as indices, not words.

    Observation:
        `grid`, uint8 (7, 7, 3): type, colour and state of the cells ahead and beside the agent,
        itself at the bottom centre (3, 6), where a carried object appears. There is no compass.
        `target`, uint8 (2,): type and colour of the target, numbered as in `grid`.

    Actions:
        The first five of MiniGrid: left, right, forward, pickup, drop. `toggle` would destroy a
        box and with it possibly the target; `done` does nothing.

    Reward:
        `1 - 0.9 * steps / max_steps` when the target is picked up, else 0.

    Episode end:
        The target is picked up; or anything is, with `wrong_pick="end"`; or, as a truncation,
        `max_steps` have passed. `info` then holds `is_success` (bool) and `wrong_picks`
        (how many times a distractor was picked up).

    Args:
        room_size: Side of the room, its walls included.
        num_distractors: How many objects there are besides the target.
        kinds: Kinds of the distractors, `"known"` or `"novel"`.
        wrong_pick: `"continue"`: the agent now carries a distractor and has to put it down
            before it can pick up anything else, as in BabyAI. `"end"`: the episode ends.
        max_steps: Steps until truncation; `room_size ** 2` (BabyAI's rule) if None.
        render_mode: `"rgb_array"`, `"human"` or None.

    Raises:
        ValueError: If an argument is out of range or the room is too small for its objects.
    """

    def __init__(
        self,
        room_size: int = 7,
        num_distractors: int = 4,
        kinds: Kinds = "known",
        wrong_pick: WrongPick = "continue",
        max_steps: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        _check_choice("kinds", kinds, get_args(Kinds))
        _check_choice("wrong_pick", wrong_pick, get_args(WrongPick))
        max_steps = room_size**2 if max_steps is None else max_steps
        _check_sizes(room_size, num_distractors, max_steps)
        super().__init__(
            mission_space=MissionSpace(_mission, [list(COLOR_NAMES), list(_CLASSES)]),
            grid_size=room_size,
            max_steps=max_steps,
            render_mode=render_mode,
        )
        self.action_space = spaces.Discrete(self.actions.drop + 1)
        target_high = np.array([max(OBJECT_TO_IDX.values()), max(COLOR_TO_IDX.values())])
        self.observation_space = spaces.Dict(
            grid=grid_space(),
            target=spaces.Box(0, target_high.astype(np.uint8), dtype=np.uint8),
        )
        self.num_distractors = num_distractors
        self.distractor_kinds = KNOWN_KINDS if kinds == "known" else NOVEL_KINDS
        self.wrong_pick = wrong_pick
        self._interior = [(x, y) for x in range(1, room_size - 1) for y in range(1, room_size - 1)]
        self._margin = self.agent_view_size - 1
        self._empty_room = self._encode_empty_room(room_size)

    def step(  # type: ignore[override]
        self, action: int
    ) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Act once; picking up the target ends the episode with the reward."""
        hand_was_empty = self.carrying is None
        obs, _, _, truncated, info = super().step(action)
        picked = self.carrying if hand_was_empty else None
        success = picked is self.target
        wrong = picked is not None and not success
        self.wrong_picks += wrong
        terminated = success or (wrong and self.wrong_pick == "end")
        if terminated or truncated:
            info.update(is_success=success, wrong_picks=self.wrong_picks)
        return obs, self._reward() if success else 0.0, terminated, truncated, info

    def gen_obs(self) -> Observation:
        """Encode what the agent sees.

        Equal to MiniGrid's own encoding of this room and many times faster: nothing in a room
        without inner walls hides anything, so that the view is a window of the encoded room.

        Returns:
            `grid` (7, 7, 3) and `target` (2,), both uint8.
        """
        room = self._empty_room.copy()
        for thing in self.objects:
            if thing is not self.carrying:
                assert thing.cur_pos is not None
                x, y = thing.cur_pos
                room[x + self._margin, y + self._margin] = thing.encode()
        view = self.get_view_exts()  # type: ignore[no-untyped-call]
        left, top, right, bottom = (edge + self._margin for edge in view)
        grid = np.rot90(room[left:right, top:bottom], -(self.agent_dir + 1)).copy()
        if self.carrying is not None:
            grid[self.agent_view_size // 2, -1] = self.carrying.encode()
        return {"grid": grid, "target": self._target_code.copy()}

    def _gen_grid(self, width: int, height: int) -> None:
        kind = KNOWN_KINDS[self.np_random.integers(len(KNOWN_KINDS))]
        others = [other for other in self.distractor_kinds if other != kind]
        picks = self.np_random.integers(len(others), size=self.num_distractors)
        self.objects = [_make_object(kind), *(_make_object(others[pick]) for pick in picks)]
        self.target = self.objects[0]
        self.mission = _mission(self.target.color, self.target.type)
        self._target_code = np.array(self.target.encode()[:2], dtype=np.uint8)
        self.wrong_picks = 0
        self.grid = Grid(width, height)
        self.grid.wall_rect(0, 0, width, height)
        self.agent_pos, *cells = self._draw_cells()
        self.agent_dir = int(self.np_random.integers(len(DIR_TO_VEC)))
        for thing, cell in zip(self.objects, cells, strict=True):
            self.put_obj(thing, *cell)

    def _draw_cells(self) -> list[Cell]:
        """Draw different cells for the agent, the target and the distractors, in this order."""
        while True:
            picks = self.np_random.choice(
                len(self._interior), size=2 + self.num_distractors, replace=False
            )
            agent, target, *distractors = (self._interior[pick] for pick in picks)
            free = set(self._interior).difference(distractors)
            if target in _reachable(agent, free):
                return [agent, target, *distractors]

    def _encode_empty_room(self, size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Encode the room without objects, with a margin of unseen cells as wide as the view."""
        room = Grid(size, size)
        room.wall_rect(0, 0, size, size)
        margin = (self._margin, self._margin)
        return np.pad(room.encode(), (margin, margin, (0, 0)))


_SMALL: dict[str, Any] = {"room_size": 6, "num_distractors": 3, "wrong_pick": "end"}
_VERSIONS: dict[str, dict[str, Any]] = {
    "rims_rl/PickupDistractors-v0": {},
    "rims_rl/PickupDistractorsNovel-v0": {"kinds": "novel"},
    "rims_rl/PickupDistractorsMore-v0": {"num_distractors": 8},
    "rims_rl/PickupDistractorsSmall-v0": _SMALL,
    "rims_rl/PickupDistractorsSmallNovel-v0": {**_SMALL, "kinds": "novel"},
    "rims_rl/PickupDistractorsSmallMore-v0": {**_SMALL, "num_distractors": 6},
}


def register_envs() -> None:
    """Register the ids `rims_rl/PickupDistractors[Small][Novel|More]-v0` with Gymnasium.

    Train on the version without `Novel` or `More`: its distractors are of known kinds.
    `Novel` has distractors of novel kinds, `More` twice as many known ones. The plain size
    is the paper's as far as it tells, with the class's defaults; `Small` is for learning within
    minutes.

    In the plain size compare mean returns and `wrong_picks`, not success: a player deaf to the
    mission, which tries one object after another, always succeeds in time (mean return 0.74; one
    that goes straight to the target, 0.90). In `Small` a wrong pick ends the episode, and
    picking up whatever is nearest succeeds in a quarter of the episodes.

    Calling it again changes nothing.
    """
    for env_id, kwargs in _VERSIONS.items():
        if env_id not in gym.registry:
            gym.register(env_id, f"{__name__}:{PickupDistractors.__name__}", kwargs=kwargs)


def _mission(color: str, obj_type: str) -> str:
    return f"pick up the {color} {obj_type}"


def _make_object(kind: Kind) -> WorldObj:
    type_, colour = kind
    return _CLASSES[type_](colour)


def _reachable(start: Cell, free: set[Cell]) -> set[Cell]:
    """Cells that can be walked to from `start` over `free` cells."""
    seen, stack = {start}, [start]
    while stack:
        x, y = stack.pop()
        neighbours = {(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)} & free - seen
        seen |= neighbours
        stack.extend(neighbours)
    return seen


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def _check_sizes(room_size: int, num_distractors: int, max_steps: int) -> None:
    if room_size < 4:
        raise ValueError(f"room_size must be at least 4 (walls included), got {room_size}")
    most = (room_size - 2) ** 2 // 2
    if not 0 <= num_distractors <= most:
        raise ValueError(
            f"num_distractors must be 0 to {most} in a room of size {room_size},"
            f" got {num_distractors}"
        )
    if max_steps < 1:
        raise ValueError(f"max_steps must be at least 1, got {max_steps}")
