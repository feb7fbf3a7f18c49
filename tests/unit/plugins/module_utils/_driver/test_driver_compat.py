# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.filter.compat import FilterModule
from ansible_collections.mlops.hosts.plugins.module_utils._driver import cuda_table
from ansible_collections.mlops.hosts.plugins.module_utils._driver.compat import conflicts, release
from ansible_collections.mlops.hosts.plugins.module_utils._driver.generations import GENERATIONS
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.test import compat as compat_test


@pytest.mark.parametrize(
    ("desired", "options"),
    [
        pytest.param({"cuda": "13.4"}, {"driver": "580.178.04"}, id="by-minor-version-compatibility"),
        pytest.param({"cuda": "13-4"}, {"driver": "580"}, id="as-packages-write-it-and-a-branch"),
        pytest.param({"cuda": "13.4.1"}, {"driver": 580}, id="with-a-build-number-and-a-bare-number"),
        pytest.param({"cuda": 12.4}, {"driver": "550.163.01", "generations": ["turing"]}, id="as-yaml-reads-it"),
        pytest.param({"cuda": "13.5"}, {"driver": "620.10.01"}, id="full-driver-unknown-and-not-asked-for"),
        pytest.param({"cuda": "11.8"}, {"driver": "999.1"}, id="a-newer-driver-runs-older-releases"),
        pytest.param({"cuda": ["12.9", "11.8"]}, {"driver": "525.60.13", "generations": ["volta"]}, id="several"),
        pytest.param({"cuda": "12.9"}, {"driver": "575.51.03", "full": True}, id="full"),
        pytest.param({"cuda": "13.0"}, {"driver": "580", "full": True}, id="full-of-a-branch-is-its-newest"),
        pytest.param(
            {"cuda": "13.4", "image": "12.8"}, {"driver": "595.91.07", "generations": ["blackwell"]}, id="both"
        ),
        pytest.param({"cuda": "13.4"}, {}, id="nothing-to-compare-with"),
        pytest.param({}, {"driver": "580", "generations": ["volta"], "flavour": "proprietary"}, id="driver-alone"),
        pytest.param({"cuda": None, "image": []}, {"driver": "390"}, id="nothing-desired"),
    ],
)
def test_what_fits(desired, options):
    assert conflicts(desired, **options) == []
    assert compat_test.TestModule().tests()["compat"](desired, **options) is True


@pytest.mark.parametrize(
    ("desired", "options", "sentences"),
    [
        pytest.param(
            {"cuda": "13.4"},
            {"driver": "535.309.01"},
            [
                "CUDA 13.4 needs driver 580 or newer, and 535.309.01 is there. Driver branch 580 or newer fits; driver "
                "535 runs CUDA 12.9 and older. On data-centre boards the package cuda-compat-13-4 helps as well, where "
                "NVIDIA lists branch 535 for it."
            ],
            id="driver-too-old",
        ),
        pytest.param(
            {"cuda": "13.4"},
            {"driver": "580.178.04", "generations": ["volta"], "flavour": "open"},
            [
                "The open kernel module does not drive Volta: it needs Turing or newer; ask for the proprietary "
                "flavour, of branch 580 or older.",
                "CUDA 13.4 makes no code for Volta; 12.9 is the last that does.",
            ],
            id="volta-with-open-and-cuda-13",
        ),
        pytest.param(
            {"cuda": "12.4"},
            {"driver": "550.163.01", "generations": ["blackwell"], "flavour": "proprietary"},
            [
                "Driver branch 550 does not know Blackwell yet; 570 is the first branch that does.",
                "The proprietary kernel module does not drive Blackwell; ask for the open flavour.",
                "CUDA 12.4 makes no code for Blackwell; 12.8 is the first that does.",
            ],
            id="blackwell-with-what-is-older",
        ),
        pytest.param(
            {},
            {"driver": "590.48.01", "generations": ["volta", "ampere"]},
            ["Driver branch 590 does not drive Volta; 580 is the last branch that does."],
            id="branch-too-new-for-one-of-them",
        ),
        pytest.param(
            {"image": ["13.4", "12.8"]},
            {"driver": "470.256.02", "generations": ["pascal", "volta"]},
            [
                "The image's CUDA 13.4 makes no code for Pascal; 12.9 is the last that does.",
                "The image's CUDA 13.4 makes no code for Volta; 12.9 is the last that does.",
                "The image's CUDA 13.4 needs driver 580 or newer, and 470.256.02 is there. Driver branch 580 fits; "
                "driver 470 runs CUDA 11.8 and older. On data-centre boards the package cuda-compat-13-4 helps as "
                "well, where NVIDIA lists branch 470 for it.",
                "The image's CUDA 12.8 needs driver 525 or newer, and 470.256.02 is there. Driver branches 525 to 580 "
                "fit; driver 470 runs CUDA 11.8 and older. On data-centre boards the package cuda-compat-12-8 helps as "
                "well, where NVIDIA lists branch 470 for it.",
            ],
            id="images-on-old-gpus",
        ),
        pytest.param(
            {"cuda": "12.8"},
            {"driver": "550.163.01", "full": True},
            [
                "CUDA 12.8 needs driver 570.26 or newer for all that it brings, and 550.163.01 is there. Driver branch "
                "570 or newer fits; driver 550 runs CUDA 12.9 and older. On data-centre boards the package "
                "cuda-compat-12-8 helps as well, where NVIDIA lists branch 550 for it."
            ],
            id="full-driver-too-old",
        ),
        pytest.param(
            {"cuda": "11.8"},
            {"driver": "390.157", "generations": ["kepler"]},
            [
                "CUDA 11.8 needs driver 450 or newer, and 390.157 is there. Driver branches 450 to 470 fit. On "
                "data-centre boards the package cuda-compat-11-8 helps as well, where NVIDIA lists branch 390 for it."
            ],
            id="a-driver-that-runs-nothing-we-know",
        ),
        pytest.param(
            {"cuda": "13.0"},
            {"driver": "470.1", "generations": ["kepler"]},
            [
                "CUDA 13.0 makes no code for Kepler; 11.8 is the last that does.",
                "CUDA 13.0 needs driver 580 or newer, and 470.1 is there. No driver of these GPUs fits; driver 470 "
                "runs CUDA 11.8 and older. On data-centre boards the package cuda-compat-13-0 helps as well, where "
                "NVIDIA lists branch 470 for it.",
            ],
            id="no-driver-fits",
        ),
        pytest.param(
            {},
            {"generations": ["volta", "blackwell"]},
            [
                "No driver serves both Volta, which the proprietary kernel module alone drives, and Blackwell, which "
                "the open one alone drives; one of them must move to another host."
            ],
            id="gpus-that-no-driver-serves",
        ),
    ],
)
def test_conflicts(desired, options, sentences):
    assert FilterModule().filters()["compat"](desired, **options) == sentences
    assert compat_test.TestModule().tests()["compat"](desired, **options) is False


@pytest.mark.parametrize(
    ("desired", "options", "part"),
    [
        pytest.param({"cuda": "14.2"}, {"driver": "580"}, "CUDA 14.2 is not known", id="release"),
        pytest.param({"image": "12.7"}, {"driver": "580"}, "The image's CUDA 12.7 is not known", id="never-released"),
        pytest.param({"cuda": "13"}, {"driver": "580"}, "'13' is no CUDA release", id="major-alone"),
        pytest.param({"cuda": "latest"}, {}, "'latest' is no CUDA release", id="word"),
        pytest.param({"cuda": "13.4"}, {"driver": "newest"}, "'newest' is no driver version", id="driver"),
        pytest.param({"cuda": "13.4"}, {"driver": ""}, "'' is no driver version", id="empty-driver"),
        pytest.param({}, {"generations": ["gfx942"]}, "'gfx942' is not known", id="generation"),
        pytest.param({}, {"generations": [None]}, "None is not known", id="generation-that-was-not-learnt"),
        pytest.param({"cuda": "13.5"}, {"driver": "620", "full": True}, "not known which driver", id="full-driver"),
    ],
)
def test_what_is_unknown_is_said_and_not_guessed(desired, options, part):
    (sentence,) = conflicts(desired, **options)
    assert part in sentence


@pytest.mark.parametrize("desired", ["13.4", {"toolkit": "13.4"}, None])
def test_another_shape_is_an_error(desired):
    with pytest.raises(HostError, match="cuda and image"):
        conflicts(desired)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("13.4", (13, 4)), ("13-4", (13, 4)), ("12.4.131~12.4.1-2", None), ("11.8.89", (11, 8)), ("13.x", None)],
)
def test_release(text, expected):
    assert release(text) == expected


def test_the_data_agrees_with_itself():
    for needs in cuda_table.RELEASES.values():
        assert needs.full is None or int(needs.full.split(".")[0]) >= needs.runs
    assert sorted(cuda_table.RELEASES) == list(cuda_table.RELEASES)
    for named in (cuda_table.FIRST_RELEASE, cuda_table.LAST_RELEASE):
        assert set(named) <= set(GENERATIONS) and set(named.values()) <= set(cuda_table.RELEASES)
