# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import os
import pathlib

import pytest
from ansible_collections.mlops.hosts.plugins.module_utils._errors import HostError
from ansible_collections.mlops.hosts.plugins.module_utils._python_environment.arguments import SPEC
from ansible_collections.mlops.hosts.plugins.module_utils._python_environment.environment import (
    RunEnvironment,
    desired,
    ensure,
)
from ansible_collections.mlops.hosts.tests.unit.fake_python import SET, FakePython


@dataclasses.dataclass
class Bench:
    """A host that is simulated. Called with options of the module, it answers as the module would."""

    base: pathlib.Path
    run: FakePython
    python: pathlib.Path
    holders: dict[str, tuple[object, ...]] = dataclasses.field(default_factory=dict)
    units: dict[str, str] = dataclasses.field(default_factory=dict)
    slept: list[float] = dataclasses.field(default_factory=list)

    def __call__(self, requirements: str = SET, *, check: bool = False, **options: object) -> dict[str, object]:
        defaults = {name: option.get("default") for name, option in SPEC.items()}
        given = {
            **defaults,
            "name": "vllm",
            "base": str(self.base),
            "python": str(self.python),
            "requirements": requirements,
            **options,
        }
        return ensure(desired(given), self.host, dry_run=check)

    @property
    def host(self) -> RunEnvironment:
        return RunEnvironment(
            run=self.run,
            clock=lambda: sum(self.slept),
            sleep=self.slept.append,
            variables={"PATH": "/usr/bin:/bin"},
            runners=lambda paths: {path: those for path, those in self.holders.items() if path in paths},
            unit_files=lambda: self.units,
        )

    def refused(self, *args: str, **options: object) -> str:
        with pytest.raises(HostError) as refused:
            self(*args, **options)
        return str(refused.value)

    @property
    def there(self) -> list[str]:
        return sorted(name for name in os.listdir(self.base / "vllm") if name != ".lock")


@pytest.fixture
def bench(tmp_path):
    python = tmp_path / "python3.11"
    python.write_text("")
    python.chmod(0o755)
    return Bench(tmp_path / "environments", FakePython("3.11"), python)
