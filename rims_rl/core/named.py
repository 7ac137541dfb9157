"""Things that are chosen by name: those that come with the package, and a user's own."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, TypeVar

Thing = TypeVar("Thing")

#: Names that mean something else wherever a name is asked for.
_RESERVED = ("", "none", "variant")


class Named(dict[str, Thing]):
    """Things of one kind by name.

    Args:
        kind: what they are, for messages.
        built_in: those that come with the package.
    """

    def __init__(self, kind: str, built_in: Mapping[str, Thing]) -> None:
        super().__init__(built_in)
        self.kind, self.built_in = kind, frozenset(built_in)

    def add(self, name: str, thing: Thing) -> None:
        """Makes a thing known; the same one defined again, as in a notebook, takes its place.

        Raises:
            ValueError: the name is taken, or cannot be one.
        """
        if name in _RESERVED or ":" in name:
            raise ValueError(f"{self.kind} cannot be called {name!r}: choose another name")
        if name in self and (name in self.built_in or _source(self[name]) != _source(thing)):
            raise ValueError(f"{self.kind} {name!r} is there already: choose another name")
        self[name] = thing

    def find(self, name: str) -> Thing:
        """The thing of that name; ``module:name`` imports the module that registers it first.

        Raises:
            ValueError: there is none, or the module cannot be imported.
        """
        if not isinstance(name, str):
            raise ValueError(
                f"a {self.kind} is given by its name, one of {', '.join(self)}, got {name!r}"
            )
        module, colon, own_name = name.rpartition(":")
        if colon and own_name in self.built_in:
            raise ValueError(f"{self.kind} {own_name!r} comes with rims_rl: it needs no module")
        if colon:
            try:
                importlib.import_module(module)
            except Exception as error:  # whatever a user's own file does
                raise ValueError(
                    f"cannot import {module!r} of {self.kind} {name!r}: {error}; Python looks in "
                    "this folder and those of PYTHONPATH"
                ) from error
        if own_name not in self:
            raise ValueError(
                f"unknown {self.kind} {name!r}: choose from {', '.join(self)}, or module:name of "
                "your own"
            )
        return self[own_name]


def _source(thing: Any) -> tuple[str, str] | object:
    """Module and name of a class or function; if it does not say them, nothing else is the same."""
    thing = getattr(thing, "change", thing)  # a form's is its function's
    names = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    return object() if None in names or names[1] == "<lambda>" else names
