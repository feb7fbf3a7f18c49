# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which drivers run the CUDA of an image. The variables are in the form of NVIDIA's base images."""

from __future__ import annotations

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._driver.image_cuda import conflict

OLDER = "cuda>=13.0 brand=unknown,driver>=535,driver<536 brand=tesla,driver>=570,driver<571"


@pytest.mark.parametrize(
    ("environment", "driver", "words"),
    [
        ({"CUDA_VERSION": "13.0.1"}, "580.65.06", None),
        (
            {"CUDA_VERSION": "13.0.1"},
            "570.211.01",
            "The image's CUDA 13.0 needs driver 580 or newer, and 570.211.01 is there.",
        ),
        ({"CUDA_VERSION": "12.9.1"}, "525.147.05", None),  # within a major release
        ({"CUDA_VERSION": "12.9.1"}, "470.256.02", "The image's CUDA 12.9 needs driver 525 or newer"),
        ({"CUDA_VERSION": "13.0.1", "NVIDIA_REQUIRE_CUDA": OLDER}, "570.211.01", None),
        ({"CUDA_VERSION": "13.0.1", "NVIDIA_REQUIRE_CUDA": OLDER}, "535.261.03", None),
        ({"CUDA_VERSION": "13.0.1", "NVIDIA_REQUIRE_CUDA": OLDER}, "550.163.01", "needs driver 580 or newer"),
        ({"CUDA_VERSION": "13.0.1", "NVIDIA_REQUIRE_CUDA": OLDER}, "536", "needs driver 580 or newer"),
        ({"CUDA_VERSION": "13.0.1", "NVIDIA_REQUIRE_CUDA": "cuda>=13.0"}, "570.211.01", "needs driver 580 or newer"),
        ({"CUDA_VERSION": "13.0.1", "NVIDIA_DISABLE_REQUIRE": "1"}, "570.211.01", None),
        ({"CUDA_VERSION": "99.0.0"}, "570.211.01", None),  # not in the table: nothing is known of it
        ({"CUDA_VERSION": "latest"}, "570.211.01", None),
        ({}, "570.211.01", None),
    ],
)
def test_an_image_and_a_driver(environment, driver, words):
    said = conflict(environment, driver)
    assert (said is None) if words is None else words in said
