# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of which sources docs/performance.md was measured: those that a host where nothing differs costs something with.

What only a change runs is left out, although a first change is measured as well: it takes packages and services most of
its time, and a correction there would make everybody measure for a quarter of an hour.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
COVERED = """the playbooks, the roles, what
runs on the controller (`plugins/action`, `plugins/plugin_utils`), and what a host is asked with before anything changes
(each `fast_check.py` in `plugins/module_utils` and what it imports), without comments and documentation"""
_YAML = ("playbooks/**/*.yml", "roles/*/[!m]*/**/*.yml", "roles/*/meta/*.yml", "roles/*/templates/**/*")
_PYTHON = ("plugins/action/**/*.py", "plugins/plugin_utils/**/*.py")
_ASKED_WITH = "plugins/module_utils/**/fast_check.py"
# An inventory is read before there are hosts, and surveys are made for AWX.
_LEFT_OUT = {"__pycache__", "_terraform", "_awx"}


def fingerprint(root: Path = ROOT) -> str:
    found = hashlib.sha256()
    for path in sorted(covered(root)):
        found.update(f"{path.relative_to(root)}\0{_normal(path.name, path.read_text())}\0".encode())
    return found.hexdigest()[:12]


def covered(root: Path = ROOT) -> set[Path]:
    found = {path for pattern in (*_YAML, *_PYTHON) for path in root.glob(pattern) if path.is_file()}
    left = list(root.glob(_ASKED_WITH))
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            left += _imported(path)
    return {path for path in found if not _LEFT_OUT & {*path.parts}}


def _imported(path: Path) -> Iterator[Path]:
    """Files that a relative import of this one names, and the packages that they are in."""
    for node in _relative_imports(path.read_text()):
        folder = path.parents[node.level - 1]
        module = folder.joinpath(*(node.module or "").split("."))
        places = [module, *(module / name.name for name in node.names)]
        for place in places:
            yield from (file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file())


@functools.cache
def _relative_imports(text: str) -> list[ast.ImportFrom]:
    nodes = ast.walk(ast.parse(text))
    return [node for node in nodes if isinstance(node, ast.ImportFrom) and node.level]


@functools.cache
def _normal(name: str, text: str) -> str:
    lines = text.splitlines()
    if name.endswith(".py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
                docstring = node.body[0]
                lines[docstring.lineno - 1 : docstring.end_lineno] = [""] * _height(docstring)
    elif name == "argument_specs.yml":
        lines = json.dumps(_without_descriptions(yaml.safe_load(text)), sort_keys=True, indent=1).splitlines()
    stripped = (line.strip() for line in lines)
    return "\n".join(line for line in stripped if line and not line.startswith("#"))


def _height(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _without_descriptions(value: Any) -> Any:
    if isinstance(value, dict):
        # An option may have the name of a documentation key: then what it has is a dictionary.
        words = ("description", "short_description", "author")
        return {
            key: _without_descriptions(item)
            for key, item in value.items()
            if key not in words or isinstance(item, dict)
        }
    return value
