"""Docstrings begin with what a thing is or does."""

import ast
import re
from pathlib import Path


def test_no_docstring_begins_like_a_question():
    files = Path(__file__).parent.parent.glob("rims_rl/**/*.py")
    kinds = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    nodes = [(f, n) for f in files for n in ast.walk(ast.parse(f.read_text("utf-8")))]
    found = [f"{f.name}: {ast.get_docstring(n)}" for f, n in nodes if isinstance(n, kinds)]
    asks = r"(?i)\S+: (what|which|how|whether|who|where|when)\b.*"
    assert not "\n".join(match[0] for text in found if (match := re.match(asks, text)))
