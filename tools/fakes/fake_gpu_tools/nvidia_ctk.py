# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake of nvidia-ctk: CDI specifications of the simulated machine, and Docker's configuration.

nvidia-ctk cdi generate [--output FILE] [--format yaml|json] [--device-name-strategy index|uuid|type-index]...
                        [--vendor V] [--class C] [--no-all-device]
nvidia-ctk cdi list [--spec-dir DIRECTORY]...
nvidia-ctk runtime configure --runtime=docker [--config FILE] [--set-as-default] [--cdi.enabled] [--dry-run]
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import sys
import typing as t

from . import faults, state
from .state import Gpu, Machine

SPEC_DIRS = ("/etc/cdi", "/var/run/cdi")
_LIBRARIES = "/usr/lib/x86_64-linux-gnu"
_VERSIONED = ("libcuda.so", "libnvidia-ml.so", "libnvidia-ptxjitcompiler.so", "libnvidia-nvvm.so", "libcudadebugger.so")
_HOOK = "/usr/bin/nvidia-cdi-hook"
_OPTIONS = ("ro", "nosuid", "nodev", "rbind", "rprivate")
_BROKEN = {
    "not-loaded": "failed to initialize NVML: Driver Not Loaded",
    "mismatch": "failed to initialize NVML: Driver/library version mismatch",
}

Edits = dict[str, t.Any]


def main(argv: t.Sequence[str]) -> int:
    state.note_call(["nvidia-ctk", *argv])
    options = _parser().parse_args(argv)
    if options.version:
        with state.opened() as machine:
            print(f"NVIDIA Container Toolkit CLI version {machine.toolkit}\ncommit: fake")
        return 0
    return int(options.run(options, argv)) if "run" in options else 2


def _generate(options: argparse.Namespace, argv: t.Sequence[str]) -> int:
    output = options.output or os.environ.get("NVIDIA_CTK_CDI_OUTPUT_FILE_PATH", "")
    with state.opened() as machine:
        struck = faults.strike(machine, argv)
        name = struck.name if struck else ""
        if machine.libraries != machine.driver:
            name = "mismatch"
        spec = specification(machine, options) if machine.gpus and name != "no-devices" else None
    faults.wait(struck)
    problem = _BROKEN.get(name) or (name == "refuse" and "failed to create device nodes: permission denied")
    if problem:
        print(f'level=error msg="failed to generate CDI spec: {problem}"', file=sys.stderr)
        return 1
    if spec is None:
        print('level=warning msg="No devices were found, and a specification without any is written"', file=sys.stderr)
        spec = {"cdiVersion": "0.5.0", "kind": f"{options.vendor}/{options.cls}", "devices": [], "containerEdits": {}}
    as_json = (options.format or pathlib.Path(output).suffix.lstrip(".")) == "json"
    text = json.dumps(spec) + "\n" if as_json else "---\n" + "\n".join(_yaml(spec)) + "\n"
    if output:
        place = pathlib.Path(output)
        place.parent.mkdir(parents=True, exist_ok=True)
        fresh = place.with_name(f".{place.name}.new")
        fresh.write_text(text)
        fresh.chmod(0o644)
        fresh.replace(place)
    else:
        sys.stdout.write(text)
    print(f'level=info msg="Generated CDI spec with version {spec["cdiVersion"]}"', file=sys.stderr)
    return 0


def specification(machine: Machine, options: argparse.Namespace) -> Edits:
    """The devices by all names that are asked for; a GPU in MIG mode is there by its MIG devices."""
    nodes_of = {
        name: nodes
        for gpu in machine.gpus
        if not machine.is_lost(gpu)
        for names, nodes in _parts(machine, gpu, options.strategies or ["index", "uuid"])
        for name in names
    }
    if not options.no_all:
        nodes_of["all"] = list(dict.fromkeys(path for nodes in nodes_of.values() for path in nodes))
    return {
        "cdiVersion": "0.5.0",
        "kind": f"{options.vendor}/{options.cls}",
        "devices": [
            {"name": name, "containerEdits": {"deviceNodes": [{"path": path} for path in nodes]}}
            for name, nodes in nodes_of.items()
        ],
        "containerEdits": _common(machine),
    }


def _parts(machine: Machine, gpu: Gpu, strategies: t.Sequence[str]) -> t.Iterator[tuple[list[str], list[str]]]:
    index, card = machine.index(gpu), f"/dev/nvidia{gpu.minor}"
    if not gpu.mig:
        names = {"index": str(index), "uuid": gpu.uuid, "type-index": f"gpu{index}"}
        yield [names[strategy] for strategy in strategies], [card]
        return
    for number, (instance, compute) in enumerate(gpu.mig_devices()):
        uuid = gpu.mig_uuid(instance.number, compute.number)
        names = {"index": f"{index}:{number}", "uuid": uuid, "type-index": f"mig{index}:{number}"}
        # Each instance has a capability file of its own; how the kernel numbers them is not simulated.
        first = 3 + gpu.minor * 135 + instance.number * 9
        caps = [f"/dev/nvidia-caps/nvidia-cap{cap}" for cap in (first, first + 1 + compute.number)]
        yield [names[strategy] for strategy in strategies], [card, *caps]


def _common(machine: Machine) -> Edits:
    libraries = [f"{_LIBRARIES}/{name}.{machine.libraries}" for name in _VERSIONED]
    paths = [*libraries, "/usr/bin/nvidia-smi"]
    links = ["--link", f"libcuda.so.1::{_LIBRARIES}/libcuda.so"]
    return {
        "env": ["NVIDIA_VISIBLE_DEVICES=void"],
        "deviceNodes": [{"path": path} for path in ("/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidiactl")],
        "hooks": [
            _hook("create-symlinks", *links),
            _hook("enable-cuda-compat", f"--host-driver-version={machine.libraries}"),
            _hook("update-ldcache", "--folder", _LIBRARIES),
        ],
        "mounts": [{"hostPath": path, "containerPath": path, "options": list(_OPTIONS)} for path in paths],
    }


def _hook(*arguments: str) -> Edits:
    return {"hookName": "createContainer", "path": _HOOK, "args": [pathlib.Path(_HOOK).name, *arguments]}


def _list(options: argparse.Namespace, argv: t.Sequence[str]) -> int:
    """A later directory wins; two files of one directory that name the same device take it away from each other."""
    devices: dict[str, str] = {}
    for directory in options.spec_dirs or SPEC_DIRS:
        found: dict[str, list[str]] = {}
        for path in sorted(pathlib.Path(directory).glob("*")):
            if path.suffix in (".yaml", ".json"):
                for name in named_devices(path.read_text()):
                    found.setdefault(name, []).append(str(path))
        for name, files in found.items():
            if len(files) > 1:
                print(f'level=warning msg="conflicting device {name}: {", ".join(files)}"', file=sys.stderr)
            devices = {**devices, name: files[0]} if len(files) == 1 else devices
    print(f'level=info msg="Found {len(devices)} CDI devices"', file=sys.stderr)
    print("".join(f"{name}\n" for name in sorted(devices)), end="")
    return 0


def named_devices(text: str) -> list[str]:
    """The full names in a specification: JSON, or YAML as it is written here and by the real tool."""
    if text.lstrip().startswith("{"):
        spec = json.loads(text)
        return [f"{spec['kind']}={device['name']}" for device in spec.get("devices") or ()]
    kind = re.search(r'^kind: "?([^"\s]+)"?$', text, re.MULTILINE)
    names = re.findall(r'^\s*(?:- )?name: "?([^"\n]+?)"?$', text, re.MULTILINE)
    return [f"{kind.group(1)}={name}" for name in names] if kind else []


def _configure(options: argparse.Namespace, argv: t.Sequence[str]) -> int:
    """As the real one: always written, and the other features are dropped with --cdi.enabled."""
    if options.runtime != "docker":
        print(f"the fake of nvidia-ctk configures docker, not {options.runtime}", file=sys.stderr)
        return 1
    path = pathlib.Path(options.config)
    config = json.loads(path.read_text()) if path.exists() else {}
    config.setdefault("runtimes", {})["nvidia"] = {"args": [], "path": "nvidia-container-runtime"}
    if options.default:
        config["default-runtime"] = "nvidia"
    if options.cdi:
        config["features"] = {"cdi": True}
    text = json.dumps(config, indent=4, sort_keys=True)
    if options.dry_run:
        print(text)
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    print('level=info msg="It is recommended that docker daemon be restarted."', file=sys.stderr)
    return 0


def _yaml(value: t.Any, indent: str = "") -> t.Iterator[str]:
    """Objects and lists in block style with sorted keys; all texts are quoted where YAML would read something else."""
    if isinstance(value, dict):
        for key in sorted(value):
            inside = value[key]
            if isinstance(inside, (dict, list)) and inside:
                yield f"{indent}{key}:"
                yield from _yaml(inside, indent + ("  " if isinstance(inside, dict) else ""))
            else:
                yield f"{indent}{key}: {_scalar(inside)}"
    else:
        for item in value:
            lines = (
                list(_yaml(item, f"{indent}  ")) if isinstance(item, (dict, list)) else [f"{indent}  {_scalar(item)}"]
            )
            yield f"{indent}- {lines[0][len(indent) + 2 :]}"
            yield from lines[1:]


def _scalar(value: t.Any) -> str:
    text = json.dumps(value)
    return str(value) if isinstance(value, str) and re.fullmatch(r"[A-Za-z/-][\w./:=-]*", value) else text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="store_true")
    parser.add_argument("--quiet", "-q", action="store_true")
    nouns = parser.add_subparsers()
    cdi = nouns.add_parser("cdi").add_subparsers(required=True)
    generate = cdi.add_parser("generate")
    generate.add_argument("--output", default="")
    generate.add_argument("--format", choices=("yaml", "json"))
    generate.add_argument("--mode", default="auto")
    generate.add_argument(
        "--device-name-strategy", dest="strategies", action="append", choices=("index", "uuid", "type-index")
    )
    generate.add_argument("--vendor", default="nvidia.com")
    generate.add_argument("--class", dest="cls", default="gpu")
    generate.add_argument("--no-all-device", dest="no_all", action="store_true")
    generate.set_defaults(run=_generate)
    listing = cdi.add_parser("list")
    listing.add_argument("--spec-dir", dest="spec_dirs", action="append")
    listing.set_defaults(run=_list)
    configure = nouns.add_parser("runtime").add_subparsers(required=True).add_parser("configure")
    configure.add_argument("--runtime", default="docker")
    configure.add_argument("--config", default="/etc/docker/daemon.json")
    configure.add_argument("--set-as-default", dest="default", action="store_true")
    configure.add_argument("--cdi.enabled", "--enable-cdi", dest="cdi", action="store_true")
    configure.add_argument("--dry-run", action="store_true")
    configure.set_defaults(run=_configure)
    return parser
