# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-lint with all its rules, and one syntax check for all playbooks and roles.

ansible-lint starts ansible-playbook once for each of them, more than a hundred times, which takes three quarters of
its time. ansible-playbook also takes all of them at once. Where one is wrong, ansible-lint checks them one by one, as
it does by itself, and says which and why.

Much of the rest is work that it repeats: it reads the patterns of kinds of files anew for each file, and brings each
task into its normal form anew for each rule.

lint.py ARGUMENTS    those of ansible-lint
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
import typing as t

import wcmatch._wcparse
from ansiblelint.__main__ import _run_cli_entrypoint
from ansiblelint.errors import MatchError
from ansiblelint.file_utils import Lintable
from ansiblelint.runner import Runner
from ansiblelint.utils import Task

_one_by_one = Runner._run_syntax_check_phase
_normalize = Task._normalize_task
# By the identity of a task that was read, which is kept with what it is in its normal form.
_normal: dict[int, tuple[t.Any, dict[str, t.Any]]] = {}


def _at_once(runner: Runner, matches: list[MatchError]) -> list[Lintable]:
    files = runner._collect_syntax_check_files()
    roles = [
        {"hosts": "localhost", "tasks": [{"ansible.builtin.import_role": {"name": str(file.path.absolute())}}]}
        for file in files
        if file.kind == "role"
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as playbook:
        playbook.write(json.dumps(roles))
        playbook.flush()
        paths = [playbook.name] if roles else []
        paths += [str(file.path) for file in files if file.kind == "playbook"]
        if not paths or _passes(paths):
            return files
    return _one_by_one(runner, matches)


def _passes(paths: list[str]) -> bool:
    argv = ["ansible-playbook", "--syntax-check", "--inventory=localhost,", *paths]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def _normalize_once(task: Task) -> dict[str, t.Any]:
    """A copy, as a rule may add to what it gets."""
    raw, normal = _normal.get(id(task.raw_task), (None, {}))
    if raw is None:
        normal = dict(_normalize(task))
        _normal[id(task.raw_task)] = task.raw_task, normal
    return {name: dict(value) if isinstance(value, dict) else value for name, value in normal.items()}


Task._normalize_task = _normalize_once  # type: ignore[assignment, method-assign]
wcmatch._wcparse.compile = functools.cache(wcmatch._wcparse.compile)
Runner._run_syntax_check_phase = _at_once  # type: ignore[assignment, method-assign]

if __name__ == "__main__":
    sys.argv[0] = "ansible-lint"
    _run_cli_entrypoint()
