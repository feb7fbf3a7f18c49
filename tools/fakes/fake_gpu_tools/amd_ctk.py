# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of amd-ctk: ``cdi generate [--output=FILE]`` and ``cdi list``, as JSON as the real one writes it."""

from __future__ import annotations

import argparse
import json
import pathlib
import typing as t

from . import nvidia_ctk, state


def main(argv: t.Sequence[str]) -> int:
    state.note_call(["amd-ctk", *argv])
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(required=True).add_parser("cdi").add_subparsers(required=True)
    generate = verbs.add_parser("generate")
    generate.add_argument("--output", default="/etc/cdi/amd.json")
    generate.set_defaults(run=_generate)
    listing = verbs.add_parser("list")
    listing.add_argument("--spec-dir", default="/etc/cdi")
    listing.set_defaults(run=_list)
    options = parser.parse_args(argv)
    return int(options.run(options))


def _generate(options: argparse.Namespace) -> int:
    with state.opened() as machine:
        count = len(machine.amd)
    if not count:
        print("Failed to generate CDI spec: no AMD GPUs found")
        return 1
    nodes = {str(index): [f"/dev/dri/card{index}", f"/dev/dri/renderD{128 + index}"] for index in range(count)}
    nodes["all"] = [path for paths in nodes.values() for path in paths]
    spec = {
        "cdiVersion": "0.6.0",
        "kind": "amd.com/gpu",
        "containerEdits": {"deviceNodes": [{"path": "/dev/kfd"}]},
        "devices": [
            {"name": name, "containerEdits": {"deviceNodes": [{"path": path} for path in paths]}}
            for name, paths in nodes.items()
        ],
    }
    place = pathlib.Path(options.output)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(spec, indent=2) + "\n")
    print(f"Generated CDI spec: {place}")
    return 0


def _list(options: argparse.Namespace) -> int:
    specs = sorted(pathlib.Path(options.spec_dir).glob("*.json"))
    names = [name for path in specs for name in nvidia_ctk.named_devices(path.read_text())]
    own = [name for name in names if name.startswith("amd.com/")]
    print(f"Found {len(own)} AMD GPU devices")
    print("".join(f"{name}\n" for name in own), end="")
    return 0
