# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The XML of ``nvidia-smi -q -x``: nvidia_smi.tree has the elements that a driver prints, smi_values.py their texts."""

from __future__ import annotations

import pathlib
import re
import typing as t
from xml.sax.saxutils import escape

from .smi_values import cuda_version, is_newer_than_ampere, now, values
from .state import ComputeInstance, Gpu, GpuInstance, Machine

_NODE = re.compile(r"^( *)([A-Za-z0-9_]+)(?: @(\d*)(?:(-)(\d*))?)?(?: \?(!?)(\w+))?$")


def dtd(machine: Machine) -> str:
    """570 has been seen with both; the older name is the one of its branch here."""
    return "v11" if machine.major < 535 else "v12" if machine.major < 575 else "v13"


def document(machine: Machine, gpus: t.Sequence[Gpu], attached: int) -> str:
    """The XML of ``nvidia-smi -q -x``."""
    head = [f"\t<timestamp>{now()}</timestamp>"]
    cuda = cuda_version(machine)
    if machine.major >= 610:
        head += [
            '\t<!-- driver_version is deprecated and will be removed in CUDA 14.0. Use kmd_version instead. -->',
            f"\t<driver_version>{machine.driver}</driver_version>",
            '\t<!-- cuda_version is deprecated and will be removed in CUDA 14.0. Use cuda_umd_version instead. -->',
            f"\t<cuda_version>{cuda}</cuda_version>",
            f"\t<kmd_version>{machine.driver}</kmd_version>",
            f"\t<cuda_umd_version>{cuda}</cuda_umd_version>",
        ]  # fmt: skip
    else:
        head += [f"\t<driver_version>{machine.driver}</driver_version>", f"\t<cuda_version>{cuda}</cuda_version>"]
    lines = [
        '<?xml version="1.0" ?>',
        f'<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_{dtd(machine)}.dtd">',
        "<nvidia_smi_log>",
        *head,
        f"\t<attached_gpus>{attached}</attached_gpus>",
        *(line for gpu in gpus for line in _gpu(machine, gpu)),
        "",
        "</nvidia_smi_log>",
    ]
    return "\n".join(lines) + "\n"


def _gpu(machine: Machine, gpu: Gpu) -> t.Iterator[str]:
    told = values(machine, gpu)
    yield f'\t<gpu id="{gpu.address}">'
    for path, depth, is_leaf, ends in tree(machine, gpu):
        name, indent = path.rpartition("/")[2], "\t" * (depth + 2)
        if path in _LISTS:
            inside = list(_LISTS[path](machine, gpu, indent + "\t"))
            yield from (f"{indent}<{name}>", *inside, f"{indent}</{name}>")
        elif is_leaf:
            text = told.get(path, told.get(f"*/{name}", "N/A"))
            yield f"{indent}<{name}>{escape(text)}</{name}>"
        else:
            yield f"{indent}<{name}>"
        for closed in ends:
            closed_depth = closed.count("/")
            closing = "\t" * (closed_depth + 2)
            yield f"{closing}</{closed.rpartition('/')[2]}>"
    yield "\t</gpu>"


def tree(machine: Machine, gpu: Gpu) -> list[tuple[str, int, bool, list[str]]]:
    """The elements that this driver prints of this GPU: path, depth, whether it is a leaf, what ends behind it."""
    flags = {
        "split": machine.major >= 570 and gpu.kind.architecture != "Turing",
        "remap": machine.major >= 525 and bool(gpu.kind.remap_banks) and not gpu.mig,
        "tlimit": is_newer_than_ampere(gpu),
    }
    paths: list[str] = []
    hidden = -1
    stack: list[str] = []
    for line in (pathlib.Path(__file__).parent / "nvidia_smi.tree").read_text().splitlines():
        node = _NODE.match(line)
        if not node:
            continue
        spaces, name, first, dash, last, negated, condition = node.groups()
        depth = len(spaces) // 2
        if 0 <= hidden < depth:
            continue
        hidden = -1
        newest = int(last) if last else 10**6
        is_there = int(first or 0) <= machine.major <= (newest if dash else 10**6)
        if condition:
            is_there = is_there and flags[condition] is not (negated == "!")
        if not is_there:
            hidden = depth
            continue
        stack[depth:] = [name]
        paths.append("/".join(stack))
    return _with_ends(paths)


def _with_ends(paths: t.Sequence[str]) -> list[tuple[str, int, bool, list[str]]]:
    found = []
    for path, following in zip(paths, (*paths[1:], "")):
        is_leaf = not following.startswith(f"{path}/")
        ends = []
        parent = path.rpartition("/")[0] if is_leaf else ""
        while parent and not following.startswith(f"{parent}/"):
            ends.append(parent)
            parent = parent.rpartition("/")[0]
        found.append((path, path.count("/"), is_leaf, ends))
    return found


def _mig_devices(machine: Machine, gpu: Gpu, indent: str) -> t.Iterator[str]:
    devices = gpu.mig_devices()
    if not devices:
        yield f"{indent}None"
    for index, (instance, compute) in enumerate(devices):
        yield from _nested(indent, "mig_device", mig_values(gpu, index, instance, compute))


def mig_values(gpu: Gpu, index: int, instance: GpuInstance, compute: ComputeInstance) -> dict[str, t.Any]:
    """One MIG device, as nested elements. Multiprocessors are those of the compute instance, engines are shared."""
    profile = gpu.profile(instance.profile)
    per_slice = gpu.profile(19).sm
    used = sum(one.memory_mib for one in gpu.clients() if one.instance == instance.number)
    bar1 = gpu.kind.bar1_mib * instance.size // 8
    return {
        "index": index,
        "gpu_instance_id": instance.number,
        "compute_instance_id": compute.number,
        "device_attributes": {
            "shared": {
                "multiprocessor_count": per_slice * compute.size,
                "copy_engine_count": profile.copy,
                "encoder_count": 0,
                "decoder_count": profile.decoders,
                "ofa_count": profile.media,
                "jpg_count": profile.jpeg,
            }
        },
        "ecc_error_count": {"volatile_count": {"sram_uncorrectable": 0}},
        "fb_memory_usage": {
            "total": f"{profile.memory_mib} MiB",
            "reserved": "0 MiB",
            "used": f"{used} MiB",
            "free": f"{profile.memory_mib - used} MiB",
        },
        "bar1_memory_usage": {"total": f"{bar1} MiB", "used": "0 MiB", "free": f"{bar1} MiB"},
    }


def _supported_clocks(machine: Machine, gpu: Gpu, indent: str) -> t.Iterator[str]:
    for memory in gpu.kind.memory_clocks or gpu.kind.clocks[1:2]:
        yield f"{indent}<supported_mem_clock>"
        yield f"{indent}\t<value>{memory} MHz</value>"
        for clock in range(gpu.kind.clocks[0], gpu.kind.lowest_clock - 1, -gpu.kind.clock_step):
            yield f"{indent}\t<supported_graphics_clock>{clock} MHz</supported_graphics_clock>"
        yield f"{indent}</supported_mem_clock>"


def _processes(machine: Machine, gpu: Gpu, indent: str) -> t.Iterator[str]:
    for client in gpu.clients():
        if not client.is_hidden:
            yield from _nested(
                indent,
                "process_info",
                {
                    "gpu_instance_id": "N/A" if client.instance is None else client.instance,
                    "compute_instance_id": "N/A" if client.compute is None else client.compute,
                    "pid": client.pid,
                    "type": "C",
                    "process_name": client.name,
                    "used_memory": f"{client.memory_mib} MiB",
                },
            )


def _nothing(machine: Machine, gpu: Gpu, indent: str) -> t.Iterator[str]:
    yield from ()


_LISTS: dict[str, t.Callable[[Machine, Gpu, str], t.Iterator[str]]] = {
    "mig_devices": _mig_devices,
    "supported_clocks": _supported_clocks,
    "processes": _processes,
    "accounted_processes": _nothing,
}


def _nested(indent: str, name: str, inside: t.Any) -> t.Iterator[str]:
    if isinstance(inside, dict):
        yield f"{indent}<{name}>"
        for child, value in inside.items():
            yield from _nested(indent + "\t", child, value)
        yield f"{indent}</{name}>"
    else:
        yield f"{indent}<{name}>{escape(str(inside))}</{name}>"
