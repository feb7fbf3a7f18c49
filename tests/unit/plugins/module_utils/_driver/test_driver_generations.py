# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import importlib.util
import pathlib

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._driver import generations, pci_table
from ansible_collections.mlops.hosts.plugins.module_utils._driver.generations import Choice, flavour_for, generation

ROOT = pathlib.Path(__file__).resolve().parents[5]

V100, T4, A100, H100, GH200, B200, P100 = (
    f"10de:{i}" for i in ("1db4", "1eb8", "20b0", "2330", "2342", "2901", "15f8")
)
RTX_3090, RUBIN, NEW = "10de:2204", "10de:307f", "10de:3fff"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("pci_table_tool", ROOT / "tools/pci_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parsed():
    return {name: set(ids.split()) for name, ids in pci_table.DEVICES.items()}


def test_the_table_is_as_its_tool_writes_it(tool):
    written = tool.render(list(pci_table.SOURCES), parsed(), set(pci_table.OPEN_BEFORE_560.split()))
    assert written == tool.TABLE.read_text()


def test_the_table_has_the_anchors_of_its_tool(tool):
    tool.agree(parsed(), {(name,): ids for name, ids in tool.ANCHORS.items()}, "anchors")


def test_an_id_is_of_one_generation():
    ids = [device for text in pci_table.DEVICES.values() for device in text.split()]
    assert len(ids) == len(set(ids)) > 700


PCI_IDS = """\
10dd  Other
\t1db0  GV100 of someone else
10de  NVIDIA Corporation
\t1af1  GA100 [A100 NVSwitch]
\t1aef  GA102 High Definition Audio Controller
\t1ad6  TU102 USB 3.1 Host Controller
\t22d0  GB10 GEN4 X1 PCIe host
\t20b0  GA100 [A100 SXM4 40GB]
\t\t10de 1450  GA100 of a subsystem
\t0040  NV40 [GeForce 6800 Ultra]
# a comment
\t307f  GR100
10df  Emulex
\t2330  GH100
"""


def test_only_nvidias_gpus_are_classified(tool):
    found = {name: ids for name, ids in tool.classify(PCI_IDS).items() if ids}
    assert found == {"ampere": {"20b0"}, "rubin": {"307f"}}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        pytest.param({("hopper",): "20b0"}, "x has 20b0 as hopper, pci.ids as ampere", id="another-generation"),
        pytest.param({("ampere", "ada"): "20b0 26b5"}, "26b5 as ampere or ada, pci.ids as nothing", id="not-there"),
    ],
)
def test_sources_that_disagree_write_nothing(tool, said, message):
    with pytest.raises(tool.Disagreement, match=message):
        tool.agree(tool.classify(PCI_IDS), said, "x")


@pytest.mark.parametrize(
    ("pci_id", "expected"),
    [
        pytest.param("10de:1db4", "volta", id="v100"),
        pytest.param("10de:1EB8", "turing", id="t4-in-capitals"),
        pytest.param("10de:20b2", "ampere", id="a100-sxm4-80"),
        pytest.param("10de:2237", "ampere", id="a10g"),
        pytest.param("10de:27b8", "ada", id="l4"),
        pytest.param("10de:26b9", "ada", id="l40s"),
        pytest.param("10de:2330", "hopper", id="h100-sxm5"),
        pytest.param("10de:2335", "hopper", id="h200"),
        pytest.param("10de:2348", "hopper", id="gh200"),
        pytest.param("10de:2901", "blackwell", id="b200"),
        pytest.param("10de:3182", "blackwell", id="b300"),
        pytest.param("10de:307f", "rubin", id="rubin"),
        pytest.param("10de:2333", None, id="the-h200-of-mocks-does-not-exist"),
        pytest.param("10de:22a3", None, id="nvswitch"),
        pytest.param("1002:74a1", None, id="another-vendor"),
        pytest.param("1002:1db4", None, id="the-same-number-of-another-vendor"),
    ],
)
def test_generation(pci_id, expected):
    assert generation(pci_id) == expected


def choose(*pci_ids, **options):
    return flavour_for({pci_id: generation(pci_id) for pci_id in pci_ids}, **options)


@pytest.mark.parametrize(
    ("pci_ids", "options", "flavour"),
    [
        pytest.param([V100], {}, "proprietary", id="volta"),
        pytest.param([V100], {"branch": 580}, "proprietary", id="volta-with-its-last-branch"),
        pytest.param([V100, A100], {"branch": 580}, "proprietary", id="volta-and-ampere"),
        pytest.param([T4], {"branch": 580}, "open", id="turing"),
        pytest.param([H100], {"branch": 620}, "open", id="hopper-with-the-newest"),
        pytest.param([H100], {"branch": 580, "desired": "proprietary"}, "proprietary", id="hopper-as-desired"),
        pytest.param(
            [H100],
            {"branch": 615, "desired": "proprietary", "from_vendor": False},
            "proprietary",
            id="615-of-a-distribution",
        ),
        pytest.param([B200], {"branch": 580}, "open", id="blackwell"),
        pytest.param([GH200], {"branch": 535}, "open", id="grace-hopper"),
        pytest.param([RUBIN], {"branch": 615}, "open", id="rubin"),
        pytest.param([A100], {"branch": 535}, "open", id="data-centre-board-before-560"),
        pytest.param([RTX_3090], {"branch": 535}, "proprietary", id="other-board-before-560"),
        pytest.param([RTX_3090], {"branch": 560}, "open", id="other-board-from-560-on"),
        pytest.param([A100], {"branch": 470}, "proprietary", id="before-there-was-an-open-module"),
        pytest.param([], {"branch": 580}, "open", id="no-gpu"),
        pytest.param([P100, V100], {}, "proprietary", id="pascal-and-volta"),
    ],
)
def test_flavour(pci_ids, options, flavour):
    assert choose(*pci_ids, **options) == Choice(flavour)


@pytest.mark.parametrize(
    ("pci_ids", "options", "parts"),
    [
        pytest.param(
            [V100], {"branch": 580, "desired": "open"}, ["open", "Volta (10de:1db4)", "580"], id="volta-with-open"
        ),
        pytest.param([V100], {"branch": 590}, ["590", "Volta (10de:1db4)", "580 is the last"], id="volta-with-590"),
        pytest.param([V100, A100], {"branch": 590}, ["590", "Volta", "580"], id="volta-and-ampere-with-590"),
        pytest.param(
            [B200], {"branch": 580, "desired": "proprietary"}, ["Blackwell (10de:2901)", "open"], id="blackwell"
        ),
        pytest.param([GH200], {"desired": "proprietary"}, ["Hopper (10de:2342)", "open"], id="grace-hopper"),
        pytest.param([V100, B200], {}, ["Volta (10de:1db4)", "Blackwell (10de:2901)", "another host"], id="impossible"),
        pytest.param([V100, B200], {"desired": "open"}, ["another host"], id="impossible-whatever-is-desired"),
        pytest.param([B200], {"branch": 550}, ["550", "Blackwell", "570 is the first"], id="blackwell-with-550"),
        pytest.param([H100], {"branch": 615, "desired": "proprietary"}, ["615", "610 or older"], id="615-proprietary"),
        pytest.param([A100], {"branch": 470, "desired": "open"}, ["515", "470"], id="no-open-module-yet"),
        pytest.param([P100, V100], {"branch": 615}, ["Pascal (10de:15f8) and Volta (10de:1db4)"], id="all-are-named"),
    ],
)
def test_what_no_driver_can_do_is_refused(pci_ids, options, parts):
    choice = choose(*pci_ids, **options)
    assert choice.flavour is None
    assert [part for part in parts if part not in choice.refusal] == []


def test_an_unknown_id_must_be_told():
    choice = choose(NEW, A100, branch=620)
    assert (choice.flavour, choice.unknown) == (None, (NEW,))
    assert NEW in choice.refusal and "open or proprietary" in choice.refusal


@pytest.mark.parametrize("desired", ["open", "proprietary"])
def test_an_unknown_id_is_taken_as_told(desired):
    assert choose(NEW, A100, branch=580, desired=desired) == Choice(desired, None, (NEW,))


def test_an_unknown_id_does_not_hide_what_is_impossible():
    assert "does not drive Volta" in choose(NEW, V100, branch=590).refusal


def test_branches_are_told_for_generations_that_exist():
    assert {*generations.FIRST_BRANCH, *generations.LAST_BRANCH} <= set(generations.GENERATIONS)
