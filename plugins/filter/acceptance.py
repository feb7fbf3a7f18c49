# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role acceptance. Their documentation lies next to this file."""

from __future__ import annotations

import datetime
import typing as t

from ..plugin_utils._acceptance import report
from ..plugin_utils._acceptance.checks import Host, check
from ..plugin_utils._roles.variables import plain


def result(
    read: t.Mapping[str, t.Any],
    options: t.Mapping[str, t.Any],
    probe: t.Mapping[str, t.Any] | None = None,
    models: t.Sequence[t.Mapping[str, t.Any]] = (),
    events: t.Mapping[str, t.Any] | None = None,
    dry_run: bool = False,
) -> dict[str, t.Any]:
    answers = [_answer(one) for one in models]
    host = Host(_answer(read), _answer(probe), answers, _answer(events), plain(options), bool(dry_run))
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
    return report.result(check(host), host.options["level"], now)


def _answer(told: t.Any) -> t.Any:
    """A host that could not be reached has not answered."""
    answer = plain(told)
    return {**answer, "failed": True} if answer and answer.get("unreachable") else answer


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "acceptance_result": result,
            "acceptance_sentence": report.sentence,
        }
