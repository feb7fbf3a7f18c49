# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-lint with all its rules, and one syntax check for all playbooks and roles.

ansible-lint starts ansible-playbook once for each of them, more than a hundred times, which takes three quarters of
its time. ansible-playbook also takes all of them at once. Where one is wrong, ansible-lint checks them one by one, as
it does by itself, and says which and why.

lint.py ARGUMENTS    those of ansible-lint
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

from ansiblelint.__main__ import _run_cli_entrypoint
from ansiblelint.errors import MatchError
from ansiblelint.file_utils import Lintable
from ansiblelint.runner import Runner

_one_by_one = Runner._run_syntax_check_phase


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


Runner._run_syntax_check_phase = _at_once  # type: ignore[assignment, method-assign]

if __name__ == "__main__":
    sys.argv[0] = "ansible-lint"
    _run_cli_entrypoint()
