# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What the role ``model_server`` needs to know of a server program. A new program is one file next to this one."""

from __future__ import annotations

import dataclasses
import typing as t

from ...built import Data
from ...platform import Platform

if t.TYPE_CHECKING:
    from ..flags import Flags
    from ..instance import Instance


@dataclasses.dataclass(frozen=True)
class Lifecycle:
    """How systemd starts, stops and confines a server program, where programs differ.

    ``restart``: ``always`` for one that exits with status 0 when it has died.
    ``start_limit_s``: the time in which five starts are the last: more than five that fail take.
    ``stop_s``: what a stop may take before the program is killed. ``kill_mode``: whom ``stop_signal`` is sent to.
    ``clean_exits``: statuses that are no failure, besides 0 and the signals of a stop.
    ``compiles``: it writes code and runs it, reads the machine in ``/proc`` and binds its threads to cores, without
    GPUs, too. ``workers``: its processes talk over ports and interfaces of their own choice.
    ``keeps_cache``: what it compiles is worth more than a start, and must lie where it may be run.
    """

    restart: t.Literal["on-failure", "always"] = "on-failure"
    start_limit_s: int = 600
    stop_s: int = 120
    stop_signal: str = "SIGTERM"
    kill_mode: t.Literal["control-group", "mixed"] = "mixed"
    clean_exits: tuple[str, ...] = ()
    compiles: bool = False
    workers: bool = False
    keeps_cache: bool = False


class Engine(t.Protocol):
    """The name is that of the instance option ``engine``, and of its row in ``__model_server_packages``.

    What has a value here is right for a usual program.
    """

    @property
    def name(self) -> str:
        """As users write it."""

    @property
    def program(self) -> str:
        """Path of the program that the packages bring."""

    @property
    def documentation(self) -> str:
        """Address of the program's manual, for its unit."""

    deployments: tuple[str, ...] = ("native", "container")

    # The program in images that its makers publish: a path, or a name that is on the PATH there.
    image_program: str = ""

    # Whether the program can come with a Python environment.
    in_environments: bool = False

    # Platforms that have a row, for messages.
    packaged_for: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        """What a model is, for messages."""

    @property
    def model_kind(self) -> str:
        """``file`` or ``directory``."""

    # Whether it has all weights in the memory of its GPUs, as they lie in its files; not with these arguments and
    # variables.
    weights_on_gpus: bool = False
    lightens: tuple[str, ...] = ()

    # Whether the program can ask for an API key that is in none of its arguments.
    takes_key: bool = True

    lifecycle: Lifecycle = Lifecycle()

    @property
    def options(self) -> frozenset[str]:
        """The instance options that not every engine has, those of ``gate`` as in ``gate.expect``."""

    @property
    def reserved(self) -> t.Mapping[str, tuple[str, ...]]:
        """Arguments and variables that the role sets itself, by the instance option that sets them."""

    # Arguments and variables that hold secrets that others could read.
    tokens: tuple[str, ...] = ()

    # Arguments and variables that let whoever reaches the API read files or run commands on the host.
    dangerous: tuple[str, ...] = ()

    # Paths that can run the model, all of which a key must close.
    closed_paths: tuple[str, ...] = ()

    # Paths that stay open though a key is set, other than health.
    open_paths: tuple[str, ...] = ()

    @property
    def flags(self) -> Flags:
        """What the version that the engine is made for documents."""

    @property
    def renamed(self) -> t.Mapping[str, tuple[str, ...]]:
        """Flags of earlier versions, with those that took their place; none where nothing did."""
        return {}

    # How the names of its own variables begin, where they share a beginning.
    variables: tuple[str, ...] = ()

    def meant(self, word: str) -> str:
        """The flag that a word of the command line means to the program."""
        return self.flags.meant(word)

    def problems(self, instance: Instance) -> t.Iterator[str]:
        """What this engine cannot do, as words that follow the name of the instance."""
        if not instance.model_path:
            yield f"has no model; set model.path to {self.model} on the host, or model.artifact to a model of the store"

    def packages(self, platform: Platform) -> t.Sequence[Data]:
        """Packages that bring the program: the engine's row in what ``vars/`` says of the platform."""
        found: t.Sequence[Data] = (platform.known.get("packages") or {}).get(self.name) or ()
        return found

    def command(self, instance: Instance) -> list[str]:
        """Words of ``ExecStart=``, each ``quoted`` unless systemd is to expand it."""

    def after_start(self, instance: Instance, program: t.Sequence[str]) -> list[str]:
        """Words of ``ExecStartPost=``, for a program that is given its model when it runs. ``program``: words that run
        it once more, where the server is."""
        return []

    def environment(self, instance: Instance) -> Data:
        """Configuration that the program reads from its environment, without secrets; null is left out."""

    def question(self, instance: Instance) -> dict[str, t.Any]:
        """What the server must answer to count as up: the option ``inference`` of the module ``component``."""
        return completion(instance, self.closed_paths)


# Nothing is fetched from a hub, which is told nothing.
OFFLINE: Data = {
    "HF_HUB_OFFLINE": 1,
    "TRANSFORMERS_OFFLINE": 1,
    "HF_HUB_DISABLE_TELEMETRY": 1,
}


def share_problems(instance: Instance) -> t.Iterator[str]:
    """What is wrong with the share of memory."""
    share = instance.given.get("memory_share")
    if share is not None and not 0 < share <= 1:
        yield f"has memory_share {share}; set it to a number above 0, and up to 1"


def log_problems(engine: Engine, instance: Instance, *names: str) -> t.Iterator[str]:
    """Arguments and variables, ``names``, with which a program that has a key can write it to its log."""
    for where, given in (
        ("extra_args", [engine.meant(word) for word in instance.extra_args]),
        ("environment", list(instance.environment)),
    ):
        for name in names:
            if instance.key_file is not None and name in given:
                yield f"has {name} in {where}, with which {engine.name} can log its key; leave it out"


# The options of ``gate`` of a server that answers with text.
TEXT = frozenset({"gate.expect", "gate.max_tokens", "gate.max_ttft_s", "gate.min_tokens_per_s"})


def completion(instance: Instance, closed_paths: tuple[str, ...]) -> dict[str, t.Any]:
    """A question for text, to servers that speak the API of OpenAI."""
    gate = instance.gate
    limits = {name: gate.get(name) for name in ("expect", "max_ttft_s", "min_tokens_per_s")}
    return question(instance, closed_paths, max_tokens=int(gate["max_tokens"]), **limits)


def question(instance: Instance, closed_paths: tuple[str, ...], **more: t.Any) -> dict[str, t.Any]:
    """A question to the model of the instance; ``more`` as in the option ``inference``, without what is None."""
    asked = {
        "url": instance.url,
        "model": instance.served_name,
        "api_key_file": instance.key_file,
        "closed_paths": None if instance.key_file is None else list(closed_paths),
        "expectation": instance.gate.get("expectation"),
        **more,
    }
    return {key: value for key, value in asked.items() if value is not None}


# Where a container has the file of the key, in the place of the credential of a unit.
CREDENTIALS = "/run/credentials"
# The first line of a key file that can be a key, as _inference.question.KEY has it.
KEY_LINE = """LC_ALL=C grep -xm1 '[!"$-~][!-~]*' "$CREDENTIALS_DIRECTORY/api_key\""""


def key_check() -> str:
    """``ExecStartPre=`` of a server with a key: without a usable one it must not start, for it would be open."""
    words = "the file with the API key holds no usable key, and without one the server would be open to all"
    return " ".join(map(quoted, ("/bin/sh", "-c", f"{KEY_LINE} >/dev/null || {{ echo '{words}' >&2; exit 1; }}")))


def key_in_environment(variable: str) -> list[str]:
    """Words before those of a program that reads its key from a variable: it is in no file, unit and argument."""
    script = f'{variable}=$({KEY_LINE}) && export {variable} && exec "$@"'
    return ["/bin/sh", "-c", script, "sh"]


def key_in_file(path: str, name: str) -> list[str]:
    """Words before those of a program that reads its key from a file in YAML, under ``name``.

    ``path`` is in memory that is the unit's own.
    """
    script = (
        f"key=$({KEY_LINE}) && umask 077 && "
        f"""printf '%s\\n' "$key" | sed "s/'/''/g; s/.*/{name}: '&'/" >{path} && """
        'unset key && exec "$@"'
    )
    return ["/bin/sh", "-c", script, "sh"]


def arguments(given: t.Mapping[str, t.Any]) -> list[str]:
    """Flags with their values, without those that have none."""
    return [word for flag, value in given.items() if value is not None for word in (flag, str(value))]


def quoted(word: str) -> str:
    """One word of ``ExecStart=``, safe from its specifiers and variables."""
    text = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"'
