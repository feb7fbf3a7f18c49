# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

import pytest
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper import pipeline
from ansible_collections.mlops.hosts.plugins.plugin_utils._roles.log_shipper.redaction import BUILT_IN, redactions


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
