# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Asks a host what modules would answer that change nothing, all in one program, without Ansible's own module code,
which costs more than the questions.

Whatever else happens, there is no answer: the module is run as any other, and tells.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import importlib
import json
import os
import pathlib
import shlex
import tempfile
import typing as t
import zlib

from ansible import constants as C
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ._cdi.found import Found
from ._marked_output import BEGIN, END, between_marks
from ._sources import reached

Answer = dict[str, t.Any]
_PACKAGE = "mlops_hosts"
# They take seconds on a host with eight GPUs. What they said to the questions of a task, its comparison reads, too.
_SLOW = ("nvidia-smi", "amd-smi")
_PROGRAM = """\
import base64, importlib, importlib.machinery, json, sys, zlib
def unpacked(text):
    return json.loads(zlib.decompress(base64.b64decode(text)))
sources = unpacked("{sources}")
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in sources:
            package = any(other.startswith(name + ".") for other in sources)
            return importlib.machinery.ModuleSpec(name, Finder, is_package=package)
    @staticmethod
    def create_module(spec):
        return None
    @staticmethod
    def exec_module(module):
        exec(compile(sources[module.__name__], module.__name__, "exec", dont_inherit=True), module.__dict__)
sys.meta_path.insert(0, Finder)
from {package}._runner import Once, PlainRunner
run = Once(PlainRunner(), {known})
def answer(core, function, params):
    try:
        module = importlib.import_module("{package}." + core + ".fast_check")
        return getattr(module, function)(params, run=run, check_mode={check_mode})
    except Exception:
        return None
answers = [answer(*question) for question in unpacked("{questions}")]
told = run.told(*{slow})
told = base64.b64encode(zlib.compress(json.dumps(told).encode())).decode() if told else ""
print("{begin}" + json.dumps(dict(python=sys.executable, answers=answers, told=told)) + "{end}")
"""
display = Display()


@dataclasses.dataclass(frozen=True)
class _Module:
    """Where a module's own code answers: a function of ``fast_check.py`` in ``core``, a package of module_utils, whose
    ``arguments.py`` has the module's ``spec``.

    ``finish`` makes of the answer what the action plugin of the module would; None where it would ask again.
    """

    core: str
    spec: str = "SPEC"
    function: str = "fast_check"
    finish: t.Callable[[Answer], Answer | None] = lambda answer: answer


def _cdi_answer(answer: Answer) -> Answer | None:
    host = answer["host"]
    found = Found.of(host["vendor"], host)
    return None if found.unknown_paths else {"changed": False, **found.as_result()}


_MODULES = {
    "mlops.hosts.cdi_info": _Module("_cdi", "INFO", finish=_cdi_answer),
    "mlops.hosts.component": _Module("_component"),
    "mlops.hosts.container_image": _Module("_container_runtime", "IMAGE", "image"),
    "mlops.hosts.container_runtime_info": _Module("_container_runtime", "INFO", "info"),
    "mlops.hosts.driver_info": _Module("_driver", "INFO"),
    "mlops.hosts.gateway_info": _Module("_gateway", "INFO"),
    "mlops.hosts.gpu_events_info": _Module("_gpu_events", "INFO"),
    "mlops.hosts.gpu_info": _Module("_gpu", "INFO"),
    "mlops.hosts.gpu_settings": _Module("_gpu_settings", "SETTINGS", "settings"),
    "mlops.hosts.mig_layout": _Module("_gpu_settings", "MIG", "mig"),
    "mlops.hosts.model_artifact": _Module("_model"),
    "mlops.hosts.monitoring_info": _Module("_monitoring", "INFO"),
    "mlops.hosts.platform_facts": _Module("_platform", ""),
    "mlops.hosts.python_environment": _Module("_python_environment"),
    "mlops.hosts.release": _Module("_release"),
}
# Every task is a fork of the process that loads this, and need not load them again.
_ARGUMENTS = {
    module.core: importlib.import_module(f"...module_utils.{module.core}.arguments", __name__)
    for module in _MODULES.values()
    if module.spec
}


@dataclasses.dataclass(frozen=True)
class Answers:
    """One for each question, None where only the module can tell. ``facts``: the interpreter, where it was found.

    ``told``: what slow programs said, packed, for the next questions of the same task.
    """

    answers: list[Answer | None]
    facts: Answer = dataclasses.field(default_factory=dict)
    told: str = ""


def ask(
    action: ActionBase,
    questions: t.Sequence[tuple[str, t.Mapping[str, t.Any]]],
    task_vars: dict[str, t.Any],
    told: str = "",
) -> Answers:
    """``questions``: modules with their arguments. One round trip, and none where nobody but modules can answer.

    ``told``: of the answers before. Nothing else may have changed the host since.
    """
    nothing: Answers = Answers([None] * len(questions))
    command = _command(action, task_vars) if _possible(action) else None
    asked = {place: _packed(*question) for place, question in enumerate(questions)} if command else {}
    sent = {place: question for place, question in asked.items() if question}
    if not command or not sent:
        return nothing
    display.vvv(f"mlops.hosts: asks {', '.join(questions[place][0] for place in sent)} by fast_check.py")
    program = _PROGRAM.format(
        sources=_sources(tuple(sorted({core for core, _function, _params in sent.values()}))),
        questions=_deflated(list(sent.values())),
        package=_PACKAGE,
        check_mode=bool(action._task.check_mode),
        known=f'unpacked("{told}")' if told else "()",
        slow=_SLOW,
        begin=BEGIN,
        end=END,
    )
    said = action._low_level_execute_command(command, sudoable=True, in_data=program.encode())
    try:
        if said.get("rc") != 0:
            raise ValueError("it failed")
        answered = json.loads(between_marks(str(said["stdout"])) or "")
        if not isinstance(answered, dict):
            raise ValueError("it is no Python")
    except ValueError as exc:
        display.vvv(f"mlops.hosts: no answer ({exc}); modules run, and say why")
        return nothing
    answers = list(nothing.answers)
    for place, answer in zip(sent, answered["answers"]):
        failed = answer is None or answer.get("failed")
        answers[place] = answer if failed else _MODULES[questions[place][0]].finish(answer)
    found = {} if command == _known_python(action, task_vars) else {"discovered_interpreter_python": answered["python"]}
    return Answers(answers, found, str(answered.get("told") or ""))


def _possible(action: ActionBase) -> bool:
    """Whether a program can be sent to the host's Python as Ansible itself would send a module."""
    task = action._task
    plain = not (task.async_val or task.delegate_to or any(task.environment or ()))
    return plain and not is_mitogen(action) and bool(action._is_pipelining_enabled("new"))


def is_mitogen(action: ActionBase) -> bool:
    """It has ways of its own, and fails when it is asked about pipelining."""
    return any(base.__module__.startswith("ansible_mitogen") for base in type(action._connection).__mro__)


def _command(action: ActionBase, task_vars: dict[str, t.Any]) -> str | None:
    """What runs a program that comes on standard input. None where nothing does that."""
    known = _known_python(action, task_vars)
    if known or not str(_configured(action, task_vars)).startswith("auto"):
        return known
    # As Ansible itself looks for one, in the same order; but the first that is there runs the program at once.
    names = C.config.get_config_value("INTERPRETER_PYTHON_FALLBACK", variables=task_vars)
    found = " || ".join(f"command -v {shlex.quote(str(name))}" for name in names)
    return f'python=$({found}) && exec "$python"'


def _known_python(action: ActionBase, task_vars: dict[str, t.Any]) -> str | None:
    """The host's Python, None when Ansible has yet to look for it."""
    configured = _configured(action, task_vars)
    if configured.startswith("/"):
        return configured
    found = task_vars.get("ansible_facts", {}).get("discovered_interpreter_python")
    return str(found) if found and configured.startswith("auto") else None


def _configured(action: ActionBase, task_vars: dict[str, t.Any]) -> str:
    return str(action._templar.template(C.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars)))


def _packed(name: str, args: t.Mapping[str, t.Any]) -> tuple[str, str, Answer] | None:
    """Core, function and parameters; None for a module without a fast check, and for arguments that it would refuse."""
    module = _MODULES.get(name)
    if module is None:
        return None
    if not module.spec:
        return module.core, module.function, {}
    arguments = _ARGUMENTS[module.core]
    if getattr(arguments, "reads_environment", lambda _args: False)(args):
        return None
    validator = ArgumentSpecValidator(getattr(arguments, module.spec), getattr(arguments, "EXCLUSIVE", None))
    checked = validator.validate(dict(args))
    if checked.error_messages:
        return None
    complete = getattr(arguments, "complete", dict)
    return module.core, module.function, complete(checked.validated_parameters)


def _deflated(data: t.Any) -> str:
    return base64.b64encode(zlib.compress(json.dumps(data).encode())).decode()


def _sources(cores: tuple[str, ...]) -> str:
    """What the ``fast_check.py`` of these may import, by module name, packed. Once a run: tasks are processes."""
    kept = pathlib.Path(C.DEFAULT_LOCAL_TMP, f"mlops.hosts-sources-{'-'.join(cores)}")
    with contextlib.suppress(OSError):
        return kept.read_text()
    packed = _deflated(sources(cores))
    with contextlib.suppress(OSError):
        descriptor, path = tempfile.mkstemp(dir=kept.parent)
        with os.fdopen(descriptor, "w") as out:
            out.write(packed)
        os.replace(path, kept)
    return packed


def sources(cores: t.Iterable[str]) -> dict[str, str]:
    """The source of each module that these cores reach, by the name it has on the host."""
    found = reached(["_runner", *(f"{core}.fast_check" for core in cores)])
    return {_PACKAGE: "", **{f"{_PACKAGE}.{name}": path.read_text() for name, path in found.items()}}
