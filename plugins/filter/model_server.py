# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters of the role model_server. Their documentation lies next to this file."""

from __future__ import annotations

import typing as t

from ..module_utils._model_server.instance import Data, locate
from ..module_utils._model_server.objections import host_problems
from ..module_utils._model_server.request import request
from .model_path import converted

STORE = "/var/lib/mlops-models"


def _request(
    items: t.Sequence[Data], *, artifacts: t.Any = None, store: str = STORE, **options: t.Any
) -> dict[str, t.Any]:
    return request(locate(items, converted(artifacts), store), **options)


def _conflicts(
    items: t.Sequence[Data], seen: Data, *, artifacts: t.Any = None, store: str = STORE, **options: t.Any
) -> list[str]:
    return host_problems(locate(items, converted(artifacts), store), seen, **options)


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "model_server_request": _request,
            "model_server_conflicts": _conflicts,
        }
