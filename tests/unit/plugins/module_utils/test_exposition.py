# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What node_exporter takes of a file, whatever is told."""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._exposition import Family, Page

FAMILIES = {"a_total": Family("counter", "How often."), "b": Family("gauge", "How much\nof it.")}


def test_metrics_are_grouped_in_one_order_and_end_with_a_line_feed():
    page = Page(FAMILIES)
    page.add("b", 0.5, gpu="x", type="one")
    page.add("a_total", 12345678)
    page.add("b", True, gpu="y", type="one")
    assert page.text() == (
        "# HELP a_total How often.\n# TYPE a_total counter\na_total 12345678\n"
        '# HELP b How much\\nof it.\n# TYPE b gauge\nb{gpu="x",type="one"} 0.5\nb{gpu="y",type="one"} 1\n'
    )


def test_what_nobody_told_has_no_series_and_no_series_is_there_twice():
    page = Page(FAMILIES)
    page.add("b", None, gpu="x")
    assert page.text() == ""
    page.add("b", 1, gpu="x")
    page.add("b", 2, gpu="x")
    assert page.text().splitlines()[2:] == ['b{gpu="x"} 1']


def test_any_text_can_be_the_value_of_a_label():
    page = Page(FAMILIES)
    page.add("b", 1, path='a"b\\c\nd\udce9')
    assert page.text().splitlines()[2] == 'b{path="a\\"b\\\\c\\nd?"} 1'


def test_an_unknown_metric_is_a_mistake():
    with pytest.raises(KeyError):
        Page(FAMILIES).add("c", 1)
