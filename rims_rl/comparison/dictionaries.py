"""Dictionaries that others logged as the text of Python's code, as W&B's callback does."""

from __future__ import annotations

import ast
from typing import Any


def evaluated(value: Any) -> Any:
    """The dictionary that a text stands for, ``dict(core='gru')`` or ``{'core': 'gru'}``.

    Nothing is run: names of classes and functions stay texts, and so does what is no dictionary.
    """
    if not isinstance(value, str) or not value.startswith(("dict(", "{")):
        return value
    try:
        return _of_node(ast.parse(value, mode="eval").body)
    except SyntaxError:
        return value


def _of_node(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "dict" and not node.args:
        return {str(entry.arg): _of_node(entry.value) for entry in node.keywords}
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {str(_of_node(key)): _of_node(value) for key, value in pairs if key}
    if isinstance(node, ast.List | ast.Tuple):
        return [*map(_of_node, node.elts)]
    try:
        return ast.literal_eval(node)
    except ValueError:  # a class, a function: its name
        return ast.unparse(node)
