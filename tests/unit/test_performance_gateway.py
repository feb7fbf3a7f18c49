# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/performance-gateway.md says of what was measured."""

from __future__ import annotations

import pathlib
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import gateway

PLAIN = gateway.Load(1.0, 4.0, 20000.0)
DATA = pathlib.Path(__file__).parent / "data/wrk/4.1.0"


def targets(ours):
    lines = page(ours).splitlines()
    return [line.split(" | ")[1:] for line in lines if "at most" in line or "at least" in line]


def page(ours):
    shown = {
        "plain": PLAIN,
        "gateway": ours,
        "pair": gateway.Load(1.5, 9.0, 12000.0),
        "resend": gateway.Load(1.25, 9.0, 15000.0),
        "never": gateway.Load(1.1, 9.0, 18000.0),
        "litellm": gateway.Load(9.0, 9.0, 100.0),
    }
    loads = {(kind, proxy, many): shown[proxy] for kind in gateway.KINDS for many in (1, 16) for proxy in gateway.URLS}
    return gateway.page(gateway.Found("3.0.11", 5, 0.0, loads))


@pytest.mark.parametrize(
    ("ours", "cells"),
    [
        (gateway.Load(1.15, 9.0, 15000.0), [["1.15×", "yes |"], ["0.75×", "yes |"], ["150.00×", "yes |"]]),
        (gateway.Load(1.16, 9.0, 13000.0), [["1.16×", "**no** |"], ["0.65×", "**no** |"], ["130.00×", "**no** |"]]),
    ],
)
def test_a_target_is_reached_or_missed(ours, cells):
    copied = [["1.50×", "**no** |"], ["0.60×", "**no** |"], ["1.20×", "**no** |"], ["0.80×", "yes |"]]
    copied += [["1.10×", "yes |"], ["0.90×", "yes |"]]
    assert targets(ours) == [*cells[:2], *copied, *cells[:2], *copied, cells[2]]


def test_what_is_measured_is_named():
    said = page(PLAIN)
    assert "| an answer of 240 bytes, two servers: requests a second, at least 0.7× | 0.60× | **no** |\n" in said
    assert "| a stream of ten events, the gateway, two servers, `model_gateway_resend: never` | 16 | 18,000 |" in said


def test_the_size_of_the_copy_is_that_of_the_role():
    defaults = yaml.safe_load((ROOT / "roles/model_gateway/defaults/main.yml").read_text())
    assert defaults["model_gateway_max_body_kib"] + 32 == gateway.BUFFER_KIB


def test_what_wrk_says():
    said = gateway.load((DATA / "answered.txt").read_text())
    assert (said.p50, said.p99, said.rate) == pytest.approx((0.0550, 13.4900, 27384.66))


def test_what_wrk_says_of_seconds():
    said = gateway.load((DATA / "slow.txt").read_text())
    assert (said.p50, said.p99, said.rate) == pytest.approx((1110.0, 1860.0, 12.82))


def test_requests_that_were_not_answered_end_it():
    with pytest.raises(SystemExit, match="not every request was answered: Non-2xx or 3xx responses: "):
        gateway.load((DATA / "refused.txt").read_text())
