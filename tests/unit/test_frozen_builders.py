# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each role builds of recorded options and platforms stays what it was: hosts that are right must stay right.

``data/builders/<role>.jsonl``: one case a line, with ``options``, ``platform`` and ``built``, and in some the
``answer`` of a host, and ``conflicts``, what it is refused for by ``requires``. After a change that is meant,
``MLOPS_FREEZE=1 pytest tests/unit/test_frozen_builders.py`` writes ``built`` again, for ``git diff``.
"""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import typing as t

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.built import Built
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.platform import Platform
from ansible_collections.mlops.hosts.tests.unit.fakes import FakeReader, refused

DATA = pathlib.Path(__file__).parent / "data" / "builders"
ROOMS = "ansible_collections.mlops.hosts.plugins.plugin_utils._roles"


def conflicts(found: Built, case: dict[str, t.Any]) -> list[str]:
    more = {"stopped": case.get("stopped", ()), "check_mode": case.get("dry_run", False)}
    return refused(found.component or {}, FakeReader(**case["answer"]), **more)[0]


def _without_programs(component: t.Mapping[str, t.Any] | None) -> t.Mapping[str, t.Any] | None:
    """Texts of programs change with the modules that they are made of, which have tests of their own."""
    if component is None or "files" not in component:
        return component
    files = [file for file in component["files"] if not file["path"].startswith("/usr/local/lib/mlops.hosts/")]
    return {**component, "files": files}


def built(role: str, case: dict[str, t.Any]) -> dict[str, t.Any]:
    room = importlib.import_module(f"{ROOMS}.{role}.build")
    found = room.build(case["options"], Platform(**case["platform"]), *case.get("asked", ()))
    return {
        "problems": list(found.problems),
        "component": _without_programs(found.component),
        "question": [found.question.module, found.question.args] if found.question else None,
        "verify": found.verify,
        **({"conflicts": conflicts(found, case)} if "answer" in case else {}),
    }


def line(case: dict[str, t.Any]) -> str:
    return json.dumps(case, sort_keys=True)


@pytest.mark.parametrize("path", sorted(DATA.glob("*.jsonl")), ids=lambda path: path.stem)
def test_what_a_role_builds_is_what_it_was(path: pathlib.Path) -> None:
    cases = [json.loads(text) for text in path.read_text().splitlines()]
    assert cases
    if "MLOPS_FREEZE" in os.environ:
        path.write_text("".join(line({**case, "built": built(path.stem, case)}) + "\n" for case in cases))
        return
    for case in cases:
        assert line({"built": built(path.stem, case)}) == line({"built": case["built"]})
