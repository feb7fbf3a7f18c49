# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""A check that finds stores that are right, without Ansible: most are, most of the time."""

from __future__ import annotations

import dataclasses
import json
import time
import typing as t

from .._http import Unreachable
from .._runner import Runner
from . import host
from .artifact import RunEnvironment, Settings, ensure
from .desired import DesiredArtifact, parse


def artifacts(given: t.Mapping[str, t.Any]) -> tuple[list[DesiredArtifact], set[str]]:
    """What the module's parameters ask for, and what of it must not be seen anywhere."""
    whole, *each = (host.with_secrets(one) for one in (given, *given["artifacts"]))
    secrets = set().union(*map(host.secrets, (whole, *each)))
    return [parse(one, endpoint=given["endpoint"], token=whole["token"]) for one in each], secrets


def settings(given: t.Mapping[str, t.Any]) -> Settings:
    return Settings(**{key: given[key] for key in Settings.__dataclass_fields__})


def fast_check(given: t.Mapping[str, t.Any], *, run: Runner, check_mode: bool) -> dict[str, t.Any] | None:
    """The module's return values for a store that is right. None when it is not, or when only the module can tell."""
    desired, secrets = artifacts(given)
    if any(artifact.source and artifact.source.exposes_secret for artifact in desired):
        return None  # the module warns of it
    environment = RunEnvironment(
        fetch=_offline,
        clock=time.monotonic,
        now=time.time,
        sleep=time.sleep,
        free_bytes=host.free_bytes,
        mount_point=host.mount_point,
        rollback=host.rollback,
    )
    ownership = host.ownership(given["owner"], given["group"], given["mode"], dry_run=check_mode)
    # Whoever is not asked need not be waited for.
    at_once = dataclasses.replace(settings(given), retries=0)
    result = ensure(desired, given["store"], ownership, environment, at_once, dry_run=True)
    said = json.dumps(result.result)
    # The module masks a secret in what it says.
    return None if result.changed or any(secret in said for secret in secrets) else result.result


def _offline(url: str, **_options: t.Any) -> t.Any:
    raise Unreachable(f"{url} is not asked in a fast check", url=url)
