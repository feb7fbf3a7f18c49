# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What Python environments need of the distribution. They are made by the module ``python_environment``. Pure.

An environment is named after its set and the version of its Python, so that whoever runs a program of it knows its path
without asking the host.
"""

from __future__ import annotations

import re
import typing as t

from ....module_utils._errors import HostError
from ....module_utils._python_environment import paths
from ..built import Built, Check, Data, Question
from ..platform import Platform

MODULE = "mlops.hosts.python_environment"
NAME = "model_runtime"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


def facts(options: Data) -> tuple[str, ...]:
    """The packages of a Python are called as the distribution calls them."""
    return ("os_family",) if options["state"] == "present" and any(_pythons(options)) else ()


def build(options: Data, platform: Platform) -> Built:
    """With nothing desired, nothing is done: nothing is removed either, for which there is the state absent."""
    if problems := (*_problems(options), *_unknown(options, platform)):
        return Built(problems)
    checks = tuple(Check(question, lambda answer: list(answer["drift"])) for question in _questions(options))
    if not checks:
        return Built()
    rest = {"state": options["state"], "component": NAME}
    packages = {"name": NAME, "state": "present", "packages": _packages(options, platform)}
    return Built(
        component=None if options["state"] == "absent" else packages,
        checks=checks,
        rest=lambda _changed, _dry_run: rest,
    )


def _questions(options: Data) -> list[Question]:
    if options["state"] == "present":
        return [Question(MODULE, arguments(item, options)) for item in _items(options)]
    # The Pythons go when nothing runs from them any more.
    return [
        Question(MODULE, {"state": "absent", "base": options["base"]}),
        Question("mlops.hosts.component", {"name": NAME, "state": "absent"}),
    ]


def arguments(item: Data, options: Data) -> dict[str, t.Any]:
    """Those of the module ``python_environment`` for one environment, as in ``tasks/present.yml``."""
    own = ("name", "state", "python", "requirements", "wheels", "only_binary", "complete")
    indexes = {} if item.get("wheels") else {key: options[key] for key in ("index_url", "extra_index_urls")}
    limits = {key: options[key] for key in ("base", "keep", "verify_files", "timeout_s", "retries")}
    found = {**{key: item.get(key) for key in own}, **indexes, **limits}
    found["verify"] = found.pop("verify_files")
    return {key: value for key, value in found.items() if value not in (None, "", [])}


def _items(options: Data) -> list[Data]:
    """What an environment leaves out gets the defaults of the role's ``argument_specs``."""
    given = [{key: value for key, value in item.items() if value is not None} for item in options["environments"]]
    return [{"state": "present", "only_binary": True, "complete": True, **item} for item in given]


def _present(options: Data) -> list[Data]:
    return [item for item in _items(options) if item["state"] == "present"]


def _pythons(options: Data) -> list[str]:
    """Those that are packages, and not programs that the user has installed."""
    named = [item["python"] for item in _present(options) if "python" in item]
    return list(dict.fromkeys(python for python in named if "/" not in python))


def _packages(options: Data, platform: Platform) -> list[Data]:
    names = [
        name.replace("PYTHON", python) for python in _pythons(options) for name in platform.known["python_packages"]
    ]
    more = [name for item in _present(options) for name in item.get("packages") or ()]
    return [{"name": name} for name in dict.fromkeys((*names, *more))]


def _unknown(options: Data, platform: Platform) -> t.Iterator[str]:
    if options["state"] == "present" and _pythons(options) and "python_packages" not in platform.known:
        yield (
            f"No package with {_pythons(options)[0]} is known for hosts of the family {platform.os_family}; install it "
            "and set python to its path."
        )


def _problems(options: Data) -> t.Iterator[str]:
    if not re.match("/[^/]", options["base"]):
        yield f"model_runtime_base must be a directory of its own by its absolute path, not {options['base']!r}."
    if options["state"] == "absent":
        return
    names = [item["name"] for item in options["environments"]]
    for name in sorted(set(names)):
        if names.count(name) > 1:
            yield (
                f"The Python environment {name!r} is listed {names.count(name)} times in model_runtime_environments; "
                "give each its own name."
            )
        if not _NAME.match(name):
            yield (
                f"The Python environment {name!r} has a name that cannot be that of a folder; use letters, digits, "
                "'.', '-' and '_'."
            )
    for item in _present(options):
        yield from (f"The Python environment {item['name']!r} {words}." for words in _wrong(item))


def _wrong(item: Data) -> t.Iterator[str]:
    if paths.python_version(str(item.get("python"))) is None:
        yield f"has python {item.get('python')!r}; set python to one with its version in its name, such as python3.12"
    if not item.get("requirements"):
        yield "has no requirements; set them to the text of a lock file with a version and hashes for each package"
        return
    try:
        paths.path("/", "x", item["requirements"], "3")
    except HostError as exc:
        yield f"has requirements that cannot be installed: {exc}"
