# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of expressions find what the expressions find. What runs them here tries one way after the other."""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.byte_patterns import (
    END,
    Unsupported,
    first,
    program,
)
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.redaction import (
    BUILT_IN,
    TEXT,
    Redaction,
)
from hypothesis import given
from hypothesis import strategies as st


def matched(steps, line, start):
    """Where the secret begins and ends and where all ends, or None: the first way that leads to the end."""
    waiting = [(1, start, None, None, frozenset())]
    while waiting:
        at, place, opened, closed, seen = waiting.pop()
        kind, *more = steps[at - 1]
        if kind == "found":
            return opened, closed, place
        if kind == "byte":
            ranges = list(zip(more[0][::2], more[0][1::2]))
            byte = line[place] if place < len(line) else END if place == len(line) else None
            if byte is not None and any(low <= byte <= high for low, high in ranges):
                waiting.append((at + 1, place + 1, opened, closed, frozenset()))
        elif at not in seen:
            seen |= {at}
            if kind == "split":
                waiting += [(to, place, opened, closed, seen) for to in reversed(more)]
            elif kind == "jump":
                waiting.append((more[0], place, opened, closed, seen))
            elif kind == "open":
                waiting.append((at + 1, place, place, closed, seen))
            elif kind == "close":
                waiting.append((at + 1, place, opened, place, seen))
            elif kind == "begins" and place == 0:
                waiting.append((at + 1, place, opened, closed, seen))
    return None


def replaced(redaction, text):
    steps, line, out, start = program(redaction), text.encode(), b"", 0
    ranges = first(steps)
    heads = {byte for low, high in zip(ranges[::2], ranges[1::2]) for byte in range(low, high + 1)}
    while start < len(line):
        found = matched(steps, line, start) if line[start] in heads else None
        if found is None:
            out, start = out + line[start : start + 1], start + 1
            continue
        opened, closed, end = found
        out, start = out + line[start:opened] + TEXT.encode() + line[closed:end], end
    return out.decode()


PATTERNS = [
    *BUILT_IN,
    *map(
        Redaction,
        [
            "customer-[0-9]+",
            "a|bc|(d|e)*f",
            "x{2,3}?y+",
            "^z.",
            "(a|ab)(c|bcd)(d*)",
            "[^a-y]z?",
            "a.b",
            "[^a][^b]c",
            "é+ü",
            "(a*)*b",
            "a{0,2}b{1,}",
        ],
    ),
]
PARTS = st.sampled_from(
    [
        *(
            "a",
            "b",
            "c",
            "d",
            "e",
            "f",
            "x",
            "y",
            "z",
            "é",
            "ü",
            "€",
            "\U0001f600",
            "\n",
            " ",
            '"',
            "'",
            "\\",
            "12",
            "customer-",
        ),
        *("Bearer ", "bearer  ", "api_key=", 'ApiKey": "', "hf_", "sk-", '"prompt": "', '"text":"', "prompt: '"),
        *("abcdefgh12", "A" * 16),
    ]
)


@given(st.sampled_from(PATTERNS), st.lists(PARTS, max_size=10).map("".join))
def test_a_program_finds_what_its_expression_finds(redaction, line):
    assert replaced(redaction, line) == redaction.apply(line)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("a(?=b)", "it has ASSERT"),
        ("(?i:a)", "it has flags"),
        ("a(?m:$)", "it has"),
        ("[é-ü]", "other letters"),
        ("[^é]", "other letters"),
        ("(a{90}){90}", "too long"),
        ("(a)(?:b)++", "it has POSSESSIVE_REPEAT"),
    ],
)
def test_what_it_cannot_express_is_refused(pattern, why):
    with pytest.raises(Unsupported, match=why):
        program(Redaction(pattern))
