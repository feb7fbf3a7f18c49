# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Asks a host whether anything differs, without Ansible's own module code, which costs more than the question.

Only one answer counts, that nothing differs. Whatever else happens, the module is run as any other, and tells.
"""

from __future__ import annotations

import base64
import functools
import json
import pathlib
import typing as t
import zlib

from ansible import constants as C
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ._marked_output import BEGIN, END, between_marks

_PACKAGE = "mlops_hosts"
_SHARED = ("_env_file.py", "_errors.py", "_http.py", "_runner.py", "_versionlock.py")
_PROGRAM = """\
import base64, importlib.machinery, json, sys, zlib
sent = json.loads(zlib.decompress(base64.b64decode("{packed}")))
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in sent["sources"]:
            package = any(other.startswith(name + ".") for other in sent["sources"])
            return importlib.machinery.ModuleSpec(name, Finder, is_package=package)
    @staticmethod
    def create_module(spec):
        return None
    @staticmethod
    def exec_module(module):
        exec(compile(sent["sources"][module.__name__], module.__name__, "exec", dont_inherit=True), module.__dict__)
sys.meta_path.insert(0, Finder)
from {package}.fast_check import fast_check
print("{begin}" + json.dumps(fast_check(sent["params"], check_mode=sent["check_mode"])) + "{end}")
"""
display = Display()


def fast_check(
    action: ActionBase,
    core: str,
    validator: ArgumentSpecValidator,
    args: t.Mapping[str, t.Any],
    task_vars: dict[str, t.Any],
    complete: t.Callable[[dict[str, t.Any]], dict[str, t.Any]] = dict,
) -> dict[str, t.Any] | None:
    """The module's return values when nothing differs, else None.

    ``core`` is a package of module_utils with a ``fast_check.py``; ``args`` are the module's, ``complete`` makes of
    them, once validated, what the core takes.
    """
    python = _python(action, task_vars) if _possible(action) else None
    checked = validator.validate(dict(args))
    if python is None or checked.error_messages:
        return None
    params = complete(checked.validated_parameters)
    display.vvv(f"mlops.hosts: asks for what differs, by module_utils/{core}/fast_check.py")
    sent = json.dumps({"sources": _sources(core), "params": params, "check_mode": bool(action._task.check_mode)})
    packed = base64.b64encode(zlib.compress(sent.encode())).decode()
    program = _PROGRAM.format(packed=packed, package=f"{_PACKAGE}.{core}", begin=BEGIN, end=END)
    said = action._low_level_execute_command(python, sudoable=True, in_data=program.encode())
    try:
        if said.get("rc") != 0:
            raise ValueError("it failed")
        result: dict[str, t.Any] | None = json.loads(between_marks(str(said["stdout"])) or "")
    except ValueError as exc:
        display.vvv(f"mlops.hosts: no answer ({exc}); the module runs, and says why")
        return None
    return result


def _possible(action: ActionBase) -> bool:
    """Whether a program can be sent to the host's Python as Ansible itself would send a module."""
    task = action._task
    plain = not (task.async_val or task.delegate_to or any(task.environment or ()))
    return plain and bool(action._is_pipelining_enabled("new"))


def _python(action: ActionBase, task_vars: dict[str, t.Any]) -> str | None:
    """The host's Python, None when Ansible has yet to look for it."""
    given = action._templar.template(C.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars))
    if str(given).startswith("/"):
        return str(given)
    found = task_vars.get("ansible_facts", {}).get("discovered_interpreter_python")
    return str(found) if found and str(given).startswith("auto") else None


@functools.cache
def _sources(core: str) -> dict[str, str]:
    """What the core's ``fast_check.py`` may import, by module name."""
    root = pathlib.Path(__file__).parent.parent / "module_utils"
    files = [*root.glob(f"{core}/*.py"), *(root / name for name in _SHARED)]
    names = {path: path.relative_to(root).with_suffix("").as_posix().replace("/", ".") for path in files}
    found = {f"{_PACKAGE}.{name.removesuffix('.__init__')}": path.read_text() for path, name in names.items()}
    return {_PACKAGE: "", **found}
