# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper import byte_patterns, pipeline
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.redaction import BUILT_IN, TEXT, redactions
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.shippers import rsyslog


def redacted(line, **options):
    for redaction in redactions(pipeline.parse(options)):
        if not redaction.hints or any(hint in line.lower() for hint in redaction.hints):
            line = redaction.apply(line)
    return line


LINES = {
    "Authorization: Bearer abcdefgh12345678": "Authorization: Bearer [redacted]",
    "BEARER abcdefgh12345678.": "BEARER [redacted]",
    "api_key=abcdefgh and more": "api_key=[redacted] and more",
    'X-API-Key: "abcdefgh1"': 'X-API-Key: "[redacted]"',
    "token hf_abcdefghijklmnopqrst": "token hf_[redacted]",
    "sk-abcdefghijklmnopqrst!": "sk-[redacted]!",
    '{"prompt": "say \\"it\\"", "n": 5}': '{"prompt": "[redacted]", "n": 5}',
    '{"messages":[{"role":"user","content":"a"},{"content":"b"}]}': (
        '{"messages":[{"role":"user","content":"[redacted]"},{"content":"[redacted]"}]}'
    ),
    "Received request cmpl-1: prompt: 'Tell me', params": "Received request cmpl-1: prompt: '[redacted]', params",
    # Cut by journald or a shipper, in the middle of a prompt, or after a backslash of it.
    '{"n": 5, "prompt": "a long secr': '{"n": 5, "prompt": "[redacted]',
    '{"n": 5, "prompt": "a long secr\\': '{"n": 5, "prompt": "[redacted]\\',
    "prompt: 'a long secr": "prompt: '[redacted]",
    '{"text": "a\\\\"}': '{"text": "[redacted]"}',
    '{"text": "a\\\\': '{"text": "[redacted]',
    '{"text" : "\\"': '{"text" : "[redacted]',
    # Nothing to hide.
    "bearer of news": "bearer of news",
    '{"prompt": "", "prompt_tokens": 12, "key": 1}': '{"prompt": "", "prompt_tokens": 12, "key": 1}',
    "the key: abc": "the key: abc",
}


@pytest.mark.parametrize("line", LINES)
def test_secrets_and_prompts_are_taken_out(line):
    assert redacted(line) == LINES[line]
    assert redacted(redacted(line)) == redacted(line)


def test_a_site_has_secrets_of_its_own_and_may_ship_all():
    assert redacted("badge 4711", redact_patterns=["4[0-9]{3}"]) == "badge [redacted]"
    assert redacted("Bearer abcdefgh12345678", redact=False) == "Bearer abcdefgh12345678"


def test_expressions_mean_the_same_to_each_program():
    for redaction in BUILT_IN:
        assert not re.search(r"\(\?|\\[a-zA-Z0-9]|[*+}]\?|[*+}]\+", redaction.pattern), redaction.pattern


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Bearer aaaaaaaa1 and Bearer bbbbbbbb2 end", "Bearer [redacted] and Bearer [redacted] end"),
        ('[{"content":"t"},{"content":"my text"}]', '[{"content":"[redacted]"},{"content":"[redacted]"}]'),
    ],
)
def test_each_secret_of_a_line_is_taken_out(line, expected):
    assert redacted(line) == expected


def texts(items):
    """The texts that a parsed expression matches, of what may be repeated the fewest and one more."""
    found = [""]
    for kind, value in items:
        name = str(kind)
        if name == "LITERAL":
            ways = [chr(value)]
        elif name == "IN":
            assert all(str(one) == "LITERAL" for one, _code in value)
            ways = [chr(code) for _one, code in value]
        elif name == "SUBPATTERN":
            ways = texts(value[3])
        elif name == "BRANCH":
            ways = [text for way in value[1] for text in texts(way)]
        else:
            assert name == "MAX_REPEAT"
            least, most, body = value
            ways = [text * times for text in texts(body) for times in {least, min(least + 1, int(most))}]
        found = [text + way for text in found for way in ways]
    return found


@pytest.mark.parametrize("redaction", BUILT_IN, ids=lambda redaction: redaction.hints[0])
def test_no_secret_is_without_a_hint(redaction):
    found = texts(byte_patterns._parser.parse(redaction.before))
    assert found
    for text in found:
        assert re.fullmatch(redaction.before, text)
        assert any(hint in (text.lower() if redaction.any_case else text) for hint in redaction.hints), text


def in_rainerscript(line):
    """What the loop of rsyslog.conf.j2 does with a line: matches that are looked for in what is left of it, and whose
    parts are matched once more, without groups."""
    for redaction in BUILT_IN:
        done, rest = "", line
        parts = (redaction.pattern, redaction.before, redaction.secret)
        pattern, before, secret = (text.replace("$", r"\Z") for text in parts)
        for _number in range(rsyslog._MATCHES):
            if found := re.search(f"{pattern}.*", rest, re.DOTALL):
                whole = re.match(pattern, found[0])[0]
                shown = re.match(f"({before})", whole)[0]
                after = whole[len(shown) :]
                done += rest[: found.start()] + shown + TEXT + after[len(re.match(f"({secret})", after)[0]) :]
                rest = found[0][len(whole) :]
        line = TEXT if re.search(pattern, rest) else done + rest
    return line


@pytest.mark.parametrize("line", LINES)
def test_rsyslog_takes_out_the_same(line):
    assert in_rainerscript(line) == redacted(line)


@pytest.mark.parametrize(
    ("number", "expected"), [(8, "Bearer [redacted] " * 8), (9, TEXT)], ids=["as-many-as-it-looks-for", "one-more"]
)
def test_rsyslog_replaces_a_line_with_too_many_secrets_as_a_whole(number, expected):
    assert in_rainerscript("".join(f"Bearer token-{n:05} " for n in range(number))) == expected
