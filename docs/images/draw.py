"""Draws the diagrams of the documentation: ``python docs/images/draw.py``.

Colours are opaque and lines of a middle grey, for light pages and dark ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import escape

FOLDER = Path(__file__).parent
WIDTH = 760
GREY, BLUE, GREEN, OCHRE, PURPLE, RED = (
    "#7b858f", "#3566a8", "#2f7d57", "#9a6a17", "#74509b", "#a8443f"
)  # fmt: skip
SLATE = "#4a545e"


def text(
    x: float, y: float, words: str, size: int = 14, fill: str = "#fff", weight: int = 400
) -> str:
    """One line of text, centred at x."""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="{fill}">'
        f"{escape(words)}</text>"
    )


def box(x: float, y: float, width: float, height: float, fill: str, title: str, *lines: str) -> str:
    """A filled box with a title and smaller lines, in its middle."""
    middle = x + width / 2
    top = y + height / 2 + 5 - 8 * len(lines)
    parts = [
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" fill="{fill}"/>',
        text(middle, top, title, 15, weight=600),
    ]
    parts += [text(middle, top + 17 * i, line, 12) for i, line in enumerate(lines, start=1)]
    return "".join(parts)


def line(x1: float, y1: float, x2: float, y2: float, width: float = 1.5, more: str = "") -> str:
    """A straight line."""
    return (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{GREY}" '
        f'stroke-width="{width:g}" {more}/>'
    )


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    """A straight line with a head."""
    return line(x1, y1, x2, y2, 1.8, 'marker-end="url(#head)"')


def write(name: str, height: int, title: str, parts: Iterable[str]) -> None:
    """Writes a picture of the full width."""
    head = (
        f'<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L10 5L0 10z" fill="{GREY}"/></marker>'
    )
    body = "\n".join(parts)
    (FOLDER / name).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, sans-serif" text-anchor="middle" role="img">\n'
        f"<title>{escape(title)}</title>\n<defs>{head}</defs>\n{body}\n</svg>\n",
        encoding="utf-8",
    )


def step() -> None:
    """One step of a core with six RIMs, four of them active."""
    active = {1: BLUE, 3: GREEN, 4: OCHRE, 6: PURPLE}
    middles = {k: 12 + 52 * k for k in range(1, 7)}
    parts = [
        text(190, 22, "1. all attend", 13, GREY, 600),
        text(350, 22, "2. four win, and run", 13, GREY, 600),
        text(548, 22, "3. they read from all", 13, GREY, 600),
        text(705, 22, "output", 13, GREY, 600),
    ]
    for k, y in middles.items():
        wins = k in active
        parts.append(line(110, 150, 280, y, 4 if wins else 1))
        dashes = 'stroke-dasharray="4 4"'
        parts.append(line(110, 260, 280, y, 1 if wins else 2.5, dashes))
    for reader in active:
        parts += [
            line(420, y, 510, middles[reader], 2 if k == reader else 1) for k, y in middles.items()
        ]
    for k, y in middles.items():
        parts.append(line(420, y, 675, y, 1))
        if k in active:
            parts.append(box(280, y - 20, 140, 40, active[k], f"RIM {k}", "runs"))
            parts.append(box(510, y - 18, 90, 36, active[k], "message"))
        else:
            parts.append(box(280, y - 20, 140, 40, SLATE, f"RIM {k}", "keeps its state"))
    parts.append(box(10, 122, 100, 56, RED, "input", "a row"))
    parts.append(box(10, 232, 100, 56, SLATE, "null row", "zeros"))
    parts.append(box(672, 44, 66, 300, SLATE, "states", "side by", "side"))
    write("step.svg", 356, "One step of a RIM core", parts)


def house() -> None:
    """The packages: what stands higher imports what stands lower."""
    parts = [
        f'<polygon points="380,8 752,92 8,92" fill="{RED}"/>',
        text(380, 66, "train · evaluate · inspect · figures · suite · compare", 14, weight=600),
        text(380, 84, "thin commands", 12),
        box(30, 100, 700, 52, PURPLE, "published", "suites; all figures and comparisons by name"),
        box(30, 160, 700, 52, PURPLE, "comparison", "runs side by side: scores, pictures, report"),
        box(30, 220, 346, 56, OCHRE, "tasks", "supervised tasks, a folder each"),
        box(384, 220, 346, 56, OCHRE, "training", "agents on the harness"),
        box(30, 284, 228, 56, BLUE, "experiments", "store of runs, executors, statistics"),
        box(30, 348, 228, 56, BLUE, "runs", "the harness of any run"),
        box(266, 284, 228, 56, GREEN, "agents", "policies, RecurrentPPO, callbacks"),
        box(266, 348, 228, 56, GREEN, "core", "RIMs, baselines, fast paths"),
        box(502, 284, 228, 120, GREEN, "envs", "environments and their families"),
        f'<rect x="8" y="412" width="744" height="40" fill="{SLATE}"/>',
        text(144, 437, "W&B, TensorBoard, SciPy", 13),
        text(380, 437, "torch; agents: SB3", 13),
        text(616, 437, "Gymnasium, ALE", 13),
    ]
    write("house.svg", 460, "The packages of rims_rl, the higher on the lower", parts)


def way() -> None:
    """The way from the command line to progress.csv."""
    parts = [
        text(380, 20, "once", 13, GREY, 600),
        box(10, 30, 160, 52, RED, "argv", "--env, --core, ..."),
        arrow(170, 56, 206, 56),
        box(208, 30, 160, 52, OCHRE, "TrainPlan", "training/parser.py"),
        arrow(368, 56, 404, 56),
        box(406, 30, 344, 52, OCHRE, "environments, RecurrentPPO", "training/building.py"),
        text(300, 120, "at each step", 13, GREY, 600),
        box(10, 130, 140, 52, GREEN, "observation", "envs/"),
        arrow(150, 156, 208, 156),
        box(210, 130, 140, 52, GREEN, "features", "agents/cnn.py, ..."),
        arrow(350, 156, 408, 156),
        box(410, 130, 140, 52, GREEN, "core", "core/rim.py, scan/"),
        arrow(550, 156, 608, 156),
        box(610, 130, 140, 52, GREEN, "action, value", "CorePolicy"),
        f'<path d="M680 182V204H80V184" fill="none" stroke="{GREY}" stroke-width="1.8" '
        'marker-end="url(#head)"/>',
        arrow(578, 82, 578, 128),
        text(300, 244, "at each rollout", 13, GREY, 600),
        arrow(715, 182, 715, 252),
        box(610, 254, 140, 52, BLUE, "buffer, update", "agents/ppo.py"),
        arrow(610, 280, 552, 280),
        box(410, 254, 140, 52, BLUE, "metrics", "agents/callbacks.py"),
        arrow(410, 280, 352, 280),
        box(210, 254, 140, 52, BLUE, "logger", "runs/loggers.py"),
        arrow(210, 280, 152, 280),
        box(10, 254, 140, 52, PURPLE, "progress.csv", "TensorBoard, W&B"),
    ]
    write("way.svg", 314, "From the command line to progress.csv", parts)


if __name__ == "__main__":
    for draw in (step, house, way):
        draw()
