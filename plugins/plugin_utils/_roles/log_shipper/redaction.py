# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What is taken out of lines before they leave a host: secrets, and what a model was asked. Pure.

The expressions mean the same as POSIX extended ones (rsyslog), PCRE (syslog-ng), RE2 (Alloy, otelcol), Onigmo (Fluent
Bit) and Rust's (Vector): no lookaround, no groups without a number, no classes with a backslash, no flags.
"""

from __future__ import annotations

import dataclasses
import re

from .pipeline import Pipeline

TEXT = "[redacted]"


@dataclasses.dataclass(frozen=True)
class Redaction:
    """``secret``, where it follows ``before`` and ``after`` follows it, becomes ``TEXT``.

    A line that it is in has one of ``hints``, with ``any_case`` whatever their case: cheaper to look for. Without hints
    it may be anywhere.
    """

    secret: str
    before: str = ""
    after: str = ""
    hints: tuple[str, ...] = ()
    any_case: bool = False

    @property
    def pattern(self) -> str:
        """All of it, each part in a group: group 1, ``secret_group`` and ``after_group``."""
        return f"({self.before})({self.secret})({self.after})"

    @property
    def secret_group(self) -> int:
        return re.compile(self.before).groups + 2

    @property
    def after_group(self) -> int:
        return self.secret_group + re.compile(self.secret).groups + 1

    def apply(self, line: str) -> str:
        """What becomes of a line, as tests and receivers expect it."""
        # In Python alone, a dollar is also before a line feed at the end.
        return re.sub(
            self.pattern.replace("$", r"\Z"), lambda found: f"{found[1]}{TEXT}{found[self.after_group]}", line
        )


_TOKEN = "[A-Za-z0-9._~+/=-]{8,}"
# Of a JSON text, up to its closing mark, or to the end of a line that was cut (journald 48 KiB, Docker 16 KiB).
_JSON_TEXT = r'([^"\\]|\\.)+'
_MEMBERS = ("prompt", "content", "text", "input", "completion", "system")
BUILT_IN = (
    Redaction(_TOKEN, before="[Bb][Ee][Aa][Rr][Ee][Rr] +", hints=("bearer",), any_case=True),
    Redaction(_TOKEN, before="[Aa][Pp][Ii][_-]?[Kk][Ee][Yy][\"']?[=:] ?[\"']?", hints=("key",), any_case=True),
    Redaction("[A-Za-z0-9]{16,}", before="hf_", hints=("hf_",)),
    Redaction("[A-Za-z0-9_-]{16,}", before="sk-", hints=("sk-",)),
    Redaction(
        _JSON_TEXT,
        before=f'"({"|".join(_MEMBERS)})" ?: ?"',
        after='("|\\\\?$)',
        # And not prompt_tokens, which each answer of an engine has.
        hints=tuple(f'"{name}"' for name in _MEMBERS),
    ),
    # As vLLM writes with --enable-log-requests.
    Redaction("[^']+", before="prompt: ?'", after="('|$)", hints=("prompt:",)),
)


def redactions(pipeline: Pipeline) -> tuple[Redaction, ...]:
    if not pipeline.redact:
        return ()
    return (*BUILT_IN, *(Redaction(pattern) for pattern in pipeline.redact_patterns))
