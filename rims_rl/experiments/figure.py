"""A figure of the catalogue, and what drawing one gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure as Picture


@dataclass(frozen=True)
class Drawing:
    """A picture with the numbers behind it.

    Attributes:
        picture: made without pyplot, so that nothing global stays behind.
        numbers: ours, by name, as JSON can hold them.
        paper: the paper's numbers for the same cells, where it has them.
        markdown: the same as text for the terminal; empty where a picture says it all.
        note: what is smaller than in the paper, beside what `Runs` knows of that.
    """

    picture: Picture
    numbers: Mapping[str, Any]
    paper: Mapping[str, Any] = field(default_factory=dict)
    markdown: str = ""
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure or table: of the paper, or of a comparison of our own.

    Attributes:
        name: on the command line and of the files, e.g. ``fig2``.
        title: what it shows, one line for the help.
        make: draws it from stored runs; it trains what is missing through them. That of a suite's
            figure takes the suite, too.
        suite: name of the suite whose runs it shows, in one of the suite's budgets; None of others.
    """

    name: str
    title: str
    make: Callable[..., Drawing]
    suite: str | None = None
