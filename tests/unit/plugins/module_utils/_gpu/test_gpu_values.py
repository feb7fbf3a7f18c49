# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._gpu import values
from ansible_collections.mlops.hosts.tests.unit.plugins.module_utils._gpu.support import needs_captures, section
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("word", sorted(values.NOT_KNOWN))
@pytest.mark.parametrize("shape", ["{}", "[{}]", " {} "])
def test_what_stands_for_no_value_is_none(word, shape):
    text = shape.format(word.title())
    assert (values.known(text), values.number(text), values.word(text), values.program(text)) == (None,) * 4


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (values.number, "400.00 W", 400.0),
        (values.whole, "40960 MiB", 40960),
        (values.whole, "0 %", 0),
        (values.whole, "-8 C", -8),
        (values.whole, "soon", None),
        (values.word, "Exclusive_Process", "exclusive_process"),
        (values.word, "Drain P2P", "drain_p2p"),
        (values.word, "None", "none"),
        (values.yes, "Yes", True),
        (values.yes, "No", False),
        (values.yes, "Maybe", None),
        (values.version, "610.57.04 [Deprecated; will be removed in CUDA 14.0. Use KMD Version instead]", "610.57.04"),
        (values.version, 'Deprecated, see "KMD version" instead', None),
        (values.version, "Linux version 6.17.0 (gcc 13.3.0)", "6.17.0"),
        (values.program, "/usr/bin/python3 serve.py --api-key=secret", "/usr/bin/python3"),
        (values.program, "[Not Found]", None),
        (values.measure, {"value": 750, "unit": "W"}, 750.0),
        (values.measure, "550 W", 550.0),
        (values.measure, 12, 12.0),
        (values.measure, "N/A", None),
        (values.measure, True, None),
        (values.measure, None, None),
        (values.mib, {"value": 192, "unit": "GB"}, 196608),
        (values.mib, "196592 MB", 196592),
        (values.mib, 65520, 65520),
        (values.mib, {"value": 2097152, "unit": "B"}, 2),
        (values.mib, {"value": "N/A", "unit": "N/A"}, None),
    ],
)
def test_values(read, text, expected):
    assert read(text) == expected


@given(st.text())
def test_no_text_is_too_strange(text):
    for read in (values.known, values.number, values.word, values.version, values.program, values.measure, values.mib):
        read(text)


@needs_captures
@pytest.mark.parametrize("name", ["h200-mig-590.48.01.capture.txt", "rtx2080super-610.57.04.capture.txt"])
@pytest.mark.parametrize("moment", ["idle", "load"])
def test_captured_text_holds_no_sentinel_that_we_take_for_a_value(name, moment):
    path = f"nvidia-smi/{name}"
    pairs = [line.split(" : ", 1) for line in section(path, f"{moment} :: query (-q)").splitlines() if " : " in line]
    assert len(pairs) > 200
    for _key, text in pairs:
        value = values.known(text)
        assert value is None or not value.lower().startswith(
            ("n/a", "[", "requested functionality", "unknown", "insuff")
        )


@needs_captures
def test_driver_610_writes_a_deprecation_into_the_value():
    said = dict(
        (part.strip() for part in line.split(" : ", 1))
        for line in section("nvidia-smi/rtx2080super-610.57.04.capture.txt", "idle :: query (-q)").splitlines()
        if " : " in line
    )
    assert said["Driver Version"].endswith("Use KMD Version instead]")
    assert values.version(said["Driver Version"]) == values.version(said["KMD Version"]) == "610.57.04"
    assert values.version(said["CUDA Version"]) == values.version(said["CUDA UMD Version"]) == "13.3"
