# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the names and types of the metrics that a program has, by version, from what it exposed or declares.

    python -m tools.metric_names haproxy "HAProxy of Debian, /metrics" 2.6.12=bookworm.txt 3.0.11=trixie.txt

Each version has a file with the text that Prometheus scraped, or a folder with the Python sources of the program. The
result is plugins/plugin_utils/_roles/monitoring/metric_names/PRODUCER.txt: what it is of in the first line, then name
and type in each, and the versions where not all have it.
"""

from __future__ import annotations

import ast
import re
import sys
import typing as t
from pathlib import Path

NAMES = Path(__file__).parents[1] / "plugins/plugin_utils/_roles/monitoring/metric_names"
_TYPE = re.compile(r"^# TYPE (\S+) (\w+)$", re.MULTILINE)
_KIND = re.compile(r"(counter|gauge|histogram|summary)(?:_cls)?$", re.IGNORECASE)


def exposed(text: str) -> dict[str, str]:
    """Name and type of each metric in a text of the exposition format."""
    return dict(_TYPE.findall(text))


def declared(source: str, producer: str) -> dict[str, str]:
    """The same, of metrics that a Python source makes with the client library of Prometheus, ``Gauge("x:y", …)``.

    Only those that begin with the producer and a colon. The library adds ``_total`` to counters. A text that
    looks like a name, in a table of them for one, is of a metric whose type is not said: untyped.
    """
    own = re.compile(rf"{producer}:\w*_\w*[a-z0-9]\Z")
    found, texts = {}, set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and own.match(node.value):
            texts.add(node.value)
        if isinstance(node, ast.Call) and (kind := _kind(node.func)) and (name := _name(node, own)):
            suffix = "_total" if kind == "counter" and not name.endswith("_total") else ""
            found[name + suffix] = kind
    return {**{name: "untyped" for name in texts if name not in found and f"{name}_total" not in found}, **found}


def page(source: str, versions: t.Mapping[str, t.Mapping[str, str]]) -> str:
    """The file. A type that changed is that of the last version."""
    types = {name: kind for metrics in versions.values() for name, kind in metrics.items()}
    lines = [f"# {source}: {' '.join(versions)}"]
    for name, kind in sorted(types.items()):
        has = [version for version, metrics in versions.items() if name in metrics]
        lines.append(" ".join([name, kind, *(has if len(has) < len(versions) else [])]))
    return "\n".join([*lines, ""])


def _kind(function: ast.expr) -> str | None:
    word = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    found = _KIND.search(word)
    return found[1].lower() if found else None


def _name(call: ast.Call, own: re.Pattern[str]) -> str | None:
    named = [keyword.value for keyword in call.keywords if keyword.arg == "name"]
    for value in (*named, *call.args[:1]):
        if isinstance(value, ast.Constant) and isinstance(value.value, str) and own.match(value.value):
            return value.value
    return None


def _read(path: Path, producer: str) -> dict[str, str]:
    if path.is_dir():
        found: dict[str, str] = {}
        for file in sorted(path.rglob("*.py")):
            for name, kind in declared(file.read_text(), producer).items():
                if kind != "untyped" or not {name, f"{name}_total"} & found.keys():
                    found[name] = kind
        return {name: kind for name, kind in found.items() if kind != "untyped" or f"{name}_total" not in found}
    return exposed(path.read_text())


def main(producer: str, source: str, *files: str) -> None:
    versions = {}
    for word in files:
        version, _equals, path = word.partition("=")
        versions[version] = _read(Path(path), producer)
        if not versions[version]:
            raise SystemExit(f"metric_names: {path} has no metric")
    (NAMES / f"{producer}.txt").write_text(page(source, versions))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
