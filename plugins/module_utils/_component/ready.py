# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Readiness: what must hold before a change is final."""

from __future__ import annotations

import dataclasses
import socket
import time
import typing as t

from .._errors import HostError
from .._runner import Runner
from . import units

if t.TYPE_CHECKING:
    from .._http import Fetch

# What speaks HTTP is imported where it is needed: its imports take longer than all that a host that is right needs.

_POLL_S = 0.5
_COMMAND_TIMEOUT_S = 30
_START_TIMEOUT_S = 90


class NotReady(HostError):
    """A condition did not hold in time, or its unit died. ``stage`` in the details is how far it came, when known."""


@dataclasses.dataclass(frozen=True)
class Tools:
    """What the gate needs from the outside."""

    run: Runner
    fetch: Fetch
    clock: t.Callable[[], float] = time.monotonic
    sleep: t.Callable[[float], None] = time.sleep


def wait(
    conditions: t.Sequence[t.Mapping[str, t.Any]], started: t.Sequence[str], *, settle_s: float, tools: Tools
) -> list[dict[str, t.Any]]:
    """Wait until every started unit is up, the conditions hold, and the units have stayed up for ``settle_s``.

    ``conditions`` as in the module's ``ready``. Returns ``{condition, stage, waited_s}`` for each; raises NotReady with
    the unit's last log lines.
    """
    # units.begin has reset the restart counters, so one restart seen at any time from here is one too many.
    begun = dict.fromkeys(started, 0)
    limits = [condition.get("timeout_s", _START_TIMEOUT_S) for condition in conditions]
    start_limit = max([_START_TIMEOUT_S, *limits])
    for name in started:
        _until(lambda name=name: _is_up(name, begun, tools), f"{name} to be active", start_limit, begun, tools)  # type: ignore[misc]
    reports = [_check(condition, begun, tools) for condition in conditions]
    if begun and settle_s:
        end = tools.clock() + settle_s
        while tools.clock() < end:
            tools.sleep(min(_POLL_S, settle_s))
            _refuse_dead(begun, tools)
    return reports


def _check(condition: t.Mapping[str, t.Any], begun: t.Mapping[str, int], tools: Tools) -> dict[str, t.Any]:
    timeout_s = condition.get("timeout_s", 60)
    watched = {name: count for name, count in begun.items() if name == condition.get("unit", name)}
    before = tools.clock()
    if condition.get("inference"):
        words, stage = f"{condition['inference']['url']} answers a question", "answers"
        _inference(condition["inference"], timeout_s, watched, tools)
    elif condition.get("http"):
        words, stage = f"{condition['http']} answers", "answers"
        _until(lambda: _http(condition["http"], tools), words, timeout_s, watched, tools)
    elif condition.get("tcp"):
        words, stage = f"{condition['tcp']} is open", "port"
        _until(lambda: _tcp(condition["tcp"]), words, timeout_s, watched, tools)
    elif condition.get("command"):
        words, stage = f"{' '.join(condition['command'])} succeeds", "answers"
        _until(lambda: _command(condition["command"], tools), words, timeout_s, watched, tools)
    else:
        words, stage = f"{condition['unit']} is active", "process"
    return {"condition": words, "stage": stage, "waited_s": round(tools.clock() - before, 3)}


def _until(
    ask: t.Callable[[], str | None], what: str, timeout_s: float, watched: t.Mapping[str, int], tools: Tools
) -> None:
    """Ask until there is no objection (None); give up when the time is over or a watched unit died."""
    end = tools.clock() + timeout_s
    while (objection := ask()) is not None:
        _refuse_dead(watched, tools)
        if tools.clock() >= end:
            raise NotReady(f"waited {timeout_s:g} s for {what}: {objection}{_all_last_words(watched, tools)}")
        tools.sleep(_POLL_S)


def _is_up(name: str, begun: t.Mapping[str, int], tools: Tools) -> str | None:
    unit = units.observe([name], tools.run)[name]
    return None if unit.up else f"it is {unit.active_state} ({unit.sub_state})"


def _refuse_dead(watched: t.Mapping[str, int], tools: Tools) -> None:
    for name in watched:
        if (reason := _death(name, watched[name], tools)) is not None:
            raise NotReady(reason, stage="process")


def _death(name: str, restarts: int, tools: Tools) -> str | None:
    unit = units.observe([name], tools.run)[name]
    if unit.restarts > restarts:
        how = f"systemd had to restart it {unit.restarts - restarts} times"
    elif unit.dead or (unit.active_state == "inactive" and not unit.up and not unit.queued):
        how = f"result {unit.result}, exit status {unit.exit_status}"
    else:
        return None
    return f"{name} does not stay up: {how}; its last lines: {units.last_words(name, tools.run)}"


def _all_last_words(watched: t.Mapping[str, int], tools: Tools) -> str:
    return "".join(f"; last lines of {name}: {units.last_words(name, tools.run)}" for name in watched)


def _tcp(address: str) -> str | None:
    host, _colon, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=5):
            return None
    except (OSError, ValueError) as exc:
        return f"{address}: {exc}"


def _http(url: str, tools: Tools) -> str | None:
    from .._http import Unreachable

    try:
        with tools.fetch(url, timeout_s=10) as answer:
            return None if 200 <= answer.status < 300 else f"it answered {answer.status}"
    except Unreachable as exc:
        return str(exc)


def _command(argv: t.Sequence[str], tools: Tools) -> str | None:
    done = tools.run(*argv, timeout_s=_COMMAND_TIMEOUT_S)
    if done.timed_out:
        return f"{argv[0]} did not end within {_COMMAND_TIMEOUT_S} s"
    return None if done.rc == 0 else f"{argv[0]} answered {done.rc}: {done.last_words}"


def _inference(asked: t.Mapping[str, t.Any], timeout_s: float, watched: t.Mapping[str, int], tools: Tools) -> None:
    from .._inference.answer import NotAnswering
    from .._inference.question import Question, read_api_key
    from .._inference.wait import wait_for_answer

    question = Question(
        url=asked["url"],
        model=asked.get("model"),
        prompt=asked.get("prompt") or "Hello",
        max_tokens=asked.get("max_tokens") or 8,
        api_key=read_api_key(asked["api_key_file"]) if asked.get("api_key_file") else None,
        expect=asked.get("expect"),
    )

    def alive() -> str | None:
        deaths = (_death(name, restarts, tools) for name, restarts in watched.items())
        return next((death for death in deaths if death is not None), None)

    try:
        wait_for_answer(tools.fetch, question, deadline_s=timeout_s, alive=alive, clock=tools.clock, sleep=tools.sleep)
    except NotAnswering as exc:
        raise NotReady(f"{exc}{_all_last_words(watched, tools)}", stage=exc.stage) from exc
