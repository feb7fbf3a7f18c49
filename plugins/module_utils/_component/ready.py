# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Readiness: what must hold before a change is final."""

from __future__ import annotations

import dataclasses
import functools
import socket
import time
import typing as t

from .._errors import HostError
from .._runner import Runner
from . import units
from .requirements import HostReader, Reader

if t.TYPE_CHECKING:
    from .._http import Fetch

# What speaks HTTP is imported where it is needed: its imports take longer than all that a host that is right needs.

_POLL_S = 0.5
_COMMAND_TIMEOUT_S = 30
# Of a command that succeeds, lines on standard error that begin so are warnings of the module.
_WARNING = "warning: "
_START_TIMEOUT_S = 90


class NotReady(HostError):
    """A condition did not hold in time, or its unit died. ``stage`` in the details is how far it came, when known."""


@dataclasses.dataclass(frozen=True)
class RunEnvironment:
    """What the engine needs from the outside."""

    run: Runner
    fetch: Fetch
    reader: Reader = dataclasses.field(default_factory=HostReader)
    clock: t.Callable[[], float] = time.monotonic
    sleep: t.Callable[[float], None] = time.sleep


def wait(
    conditions: t.Sequence[t.Mapping[str, t.Any]],
    started: t.Sequence[str],
    *,
    settle_s: float,
    env: RunEnvironment,
) -> list[dict[str, t.Any]]:
    """Wait until every started unit is up, the conditions hold, and the units have stayed up for ``settle_s``.

    ``conditions`` as in the module's ``ready``. Returns ``{condition, stage, waited_s}`` for each; raises NotReady with
    the unit's last log lines.
    """
    # units.enqueue has reset the restart counters, so one restart seen at any time from here is one too many.
    restarts = dict.fromkeys(started, 0)
    limits = [condition.get("timeout_s", _START_TIMEOUT_S) for condition in conditions]
    start_limit = max([_START_TIMEOUT_S, *limits])
    for name in started:
        _until(functools.partial(_is_up, name, env), f"{name} to be active", start_limit, restarts, env)
    reports = [_check(condition, restarts, env) for condition in conditions]
    if restarts and settle_s:
        end = env.clock() + settle_s
        while env.clock() < end:
            env.sleep(min(_POLL_S, settle_s))
            _refuse_dead(restarts, env)
    return reports


def require_keys(conditions: t.Sequence[t.Mapping[str, t.Any]], written: t.Collection[str]) -> None:
    """Refuse, before anything changes, a key file that holds no key: servers that read it would be open to all.

    ``written``: paths that this change writes.
    """
    from .._inference.question import read_api_key

    for condition in conditions:
        path = (condition.get("inference") or {}).get("api_key_file")
        if path and path not in written:
            read_api_key(path)


def _check(condition: t.Mapping[str, t.Any], restarts: t.Mapping[str, int], env: RunEnvironment) -> dict[str, t.Any]:
    timeout_s = condition.get("timeout_s", 60)
    watched = {name: count for name, count in restarts.items() if name == condition.get("unit", name)}
    before = env.clock()
    warnings: list[str] = []
    if condition.get("inference"):
        words, stage = f"{condition['inference']['url']} answers a question", "answers"
        _inference(condition["inference"], timeout_s, watched, env)
    elif condition.get("http"):
        words, stage = f"{condition['http']} answers", "answers"
        _until(lambda: _http(condition["http"], env), words, timeout_s, watched, env)
    elif condition.get("tcp"):
        words, stage = f"{condition['tcp']} is open", "port"
        _until(lambda: _tcp(condition["tcp"]), words, timeout_s, watched, env)
    elif condition.get("command"):
        words, stage = f"{' '.join(condition['command'])} succeeds", "answers"
        _until(lambda: _command(condition["command"], env, warnings), words, timeout_s, watched, env)
    else:
        words, stage = f"{condition['unit']} is active", "process"
    report = {"condition": words, "stage": stage, "waited_s": round(env.clock() - before, 3)}
    return {**report, "warnings": warnings} if warnings else report


def _until(
    ask: t.Callable[[], str | None],
    what: str,
    timeout_s: float,
    watched: t.Mapping[str, int],
    env: RunEnvironment,
) -> None:
    """Ask until there is no problem (None); give up when the time is over or a watched unit died."""
    end = env.clock() + timeout_s
    while (problem := ask()) is not None:
        _refuse_dead(watched, env)
        if env.clock() >= end:
            raise NotReady(f"waited {timeout_s:g} s for {what}: {problem}{_all_last_words(watched, env)}")
        env.sleep(_POLL_S)


def _is_up(name: str, env: RunEnvironment) -> str | None:
    unit = units.observe([name], env.run)[name]
    return None if unit.up else f"it is {unit.active_state} ({unit.sub_state})"


def _refuse_dead(watched: t.Mapping[str, int], env: RunEnvironment) -> None:
    for name in watched:
        if (reason := _death(name, watched[name], env)) is not None:
            raise NotReady(reason, stage="process")


def _death(name: str, restarts: int, env: RunEnvironment) -> str | None:
    unit = units.observe([name], env.run)[name]
    if unit.restarts > restarts:
        how = f"systemd had to restart it {unit.restarts - restarts} times"
    elif unit.dead or (unit.active_state == "inactive" and not unit.up and not unit.queued):
        how = f"result {unit.result}, exit status {unit.exit_status}"
    else:
        return None
    return f"{name} does not stay up: {how}; its last lines: {units.last_words(name, env.run)}"


def _all_last_words(watched: t.Mapping[str, int], env: RunEnvironment) -> str:
    return "".join(f"; last lines of {name}: {units.last_words(name, env.run)}" for name in watched)


def _tcp(address: str) -> str | None:
    host, _colon, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=5):
            return None
    except (OSError, ValueError) as exc:
        return f"{address}: {exc}"


def _http(url: str, env: RunEnvironment) -> str | None:
    from .._http import Unreachable

    try:
        with env.fetch(url, timeout_s=10) as answer:
            return None if 200 <= answer.status < 300 else f"it answered {answer.status}"
    except Unreachable as exc:
        return str(exc)


def _command(argv: t.Sequence[str], env: RunEnvironment, warnings: list[str]) -> str | None:
    done = env.run(*argv, timeout_s=_COMMAND_TIMEOUT_S)
    if done.timed_out:
        return f"{argv[0]} did not end within {_COMMAND_TIMEOUT_S} s"
    if done.rc == 0:
        lines = done.stderr.splitlines()
        warnings += [line[len(_WARNING) :].strip() for line in lines if line.startswith(_WARNING)]
        return None
    return f"{argv[0]} exited with status {done.rc}: {done.last_words}"


def _inference(
    to_install: t.Mapping[str, t.Any], timeout_s: float, watched: t.Mapping[str, int], env: RunEnvironment
) -> None:
    from .._inference.answer import NotAnswering
    from .._inference.question import Question, read_api_key
    from .._inference.wait import wait_for_answer

    closed = to_install.get("closed_paths")
    question = Question(
        url=to_install["url"],
        kind=to_install.get("kind") or "completion",
        model=to_install.get("model"),
        prompt=to_install.get("prompt") or "Hello",
        max_tokens=to_install.get("max_tokens") or 8,
        api_key=read_api_key(to_install["api_key_file"]) if to_install.get("api_key_file") else None,
        expect=to_install.get("expect"),
        expectation=to_install.get("expectation"),
        closed_paths=None if closed is None else tuple(closed),
        inputs=tuple(to_install.get("inputs") or ()),
        max_ttft_s=to_install.get("max_ttft_s"),
        min_tokens_per_s=to_install.get("min_tokens_per_s"),
    )

    def alive() -> str | None:
        deaths = (_death(name, restarts, env) for name, restarts in watched.items())
        return next((death for death in deaths if death is not None), None)

    try:
        wait_for_answer(
            env.fetch,
            question,
            deadline_s=timeout_s,
            alive=alive,
            clock=env.clock,
            sleep=env.sleep,
        )
    except NotAnswering as exc:
        raise NotReady(f"{exc}{_all_last_words(watched, env)}", stage=exc.stage) from exc
    if to_install.get("models_file"):
        from .._inference import models

        if found := models.difference(to_install["models_file"], question.url, env.fetch):
            given, has = found
            raise NotReady(
                f"the server at {question.url} was given {given}, and has {has}; let nobody else change its models",
                stage="answers",
            )
