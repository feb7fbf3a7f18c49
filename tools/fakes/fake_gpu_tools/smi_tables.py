# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables that nvidia-smi prints: MIG profiles and instances, and the one that it prints without an option."""

from __future__ import annotations

import typing as t

from . import mig, smi_values
from .state import Gpu, Machine

Lines = t.Iterator[str]


def profiles(machine: Machine, gpus: t.Sequence[Gpu]) -> Lines:
    """``mig -lgip``."""
    name = 19 if _is_wide(machine) else 17
    width = name + 60
    rule = f"+{'-' * width}+"
    yield rule
    yield _row(" GPU instance profiles:", width)
    yield _row(f" GPU   {'Name':<{name}}ID    Instances   Memory     P2P    SM    DEC   ENC", width)
    yield _row(f"{'':<{name + 13}}Free/Total   GiB              CE    JPEG  OFA", width)
    yield f"|{'=' * width}|"
    for gpu in gpus:
        for one in gpu.kind.profiles:
            label = f"MIG {one.name}"
            count = f"{mig.how_many(gpu, one)}/{one.total}"
            memory = f"{one.memory_mib / 1024:.2f}"
            kind = f"{machine.index(gpu):>4}  {label:<{name}}{one.number:>3}     {count:<11}{memory:<11}No     "
            yield _row(f"{kind}{f'{one.sm:>2}':<7}{one.decoders:<6}{0}", width)
            yield _row(f"{'':<{name + 44}}{one.copy:<6}{one.jpeg:<6}{one.media}", width)
            yield rule


def placements(machine: Machine, gpus: t.Sequence[Gpu]) -> Lines:
    """``mig -lgipp``."""
    for gpu in gpus:
        for one in gpu.kind.profiles:
            starts = ",".join(str(start) for start in sorted(one.starts))
            word = "Placements:" if len(one.starts) > 1 else "Placement :"
            yield f"GPU {machine.index(gpu):>2} Profile ID {one.number:>2} {word} {{{starts}}}:{one.size}"


def instances(machine: Machine, gpus: t.Sequence[Gpu]) -> Lines:
    """``mig -lgi``."""
    name = 19 if _is_wide(machine) else 17
    width = name + 38
    rule = f"+{'-' * width}+"
    yield rule
    yield _row(" GPU instances:", width)
    yield _row(f" GPU   {'Name':<{name}}Profile  Instance   Placement", width)
    yield _row(f"{'':<{name + 9}}ID       ID       Start:Size", width)
    yield f"|{'=' * width}|"
    for gpu in gpus:
        for one in sorted(gpu.instances, key=lambda instance: (gpu.profile(instance.profile).name, instance.number)):
            label = f"MIG {gpu.profile(one.profile).name}"
            place = f"{one.start}:{one.size}"
            yield _row(f"{machine.index(gpu):>4}  {label:<{name}}{one.profile:>5}{one.number:>9}{place:>13}", width)
            yield rule


def compute_instances(machine: Machine, gpus: t.Sequence[Gpu]) -> Lines:
    """``mig -lci``."""
    width = 68
    rule = f"+{'-' * width}+"
    yield rule
    yield _row(" Compute instances:", width)
    yield _row(" GPU     GPU       Name             Profile   Instance   Placement", width)
    yield _row("       Instance                       ID        ID       Start:Size", width)
    yield _row("         ID", width)
    yield f"|{'=' * width}|"
    for gpu in gpus:
        for instance, one in gpu.mig_devices():
            profile = gpu.profile(instance.profile)
            label = f"MIG {mig.compute_name(profile, one.size)}"
            number = mig.compute_number(profile, one.size)
            place = f"{one.start}:{one.size}"
            where = f"{machine.index(gpu):>4}{instance.number:>7}       {label:<17}"
            yield _row(f"{where}{number:>5}{one.number:>10}{place:>13}", width)
            yield rule


def listing(machine: Machine, gpus: t.Sequence[Gpu]) -> Lines:
    """``-L``."""
    for gpu in gpus:
        yield f"GPU {machine.index(gpu)}: {gpu.kind.name} (UUID: {gpu.uuid})"
        for index, (instance, compute) in enumerate(gpu.mig_devices()):
            name = mig.compute_name(gpu.profile(instance.profile), compute.size)
            yield f"  MIG {name:<11} Device {index:>2}: (UUID: {gpu.mig_uuid(instance.number, compute.number)})"


def version(machine: Machine) -> Lines:
    """``--version``."""
    libraries, cuda = machine.libraries, smi_values.cuda_version(machine)
    yield f"NVIDIA-SMI version  : {libraries}"
    yield f"NVML version        : {'.'.join(libraries.split('.')[:2])}"
    if machine.major >= 610:
        yield 'DRIVER version      : Deprecated, see "KMD version" instead'
        yield 'CUDA version        : Deprecated, see "CUDA UMD version" instead'
        yield f"KMD version         : {machine.driver}"
        yield f"CUDA UMD version    : {cuda}"
    else:
        yield f"DRIVER version      : {machine.driver}"
        yield f"CUDA Version        : {cuda}"


def banner(machine: Machine, gpus: t.Sequence[Gpu]) -> Lines:
    """What nvidia-smi prints without an option."""
    cuda = smi_values.cuda_version(machine)
    rule = f"+{'-' * 41}+{'-' * 24}+{'-' * 22}+"
    full = f"+{'-' * 89}+"
    versions = f"Driver Version: {machine.driver:<15}CUDA Version: {cuda}"
    if machine.major >= 610:
        versions = f"KMD Version: {machine.driver:<14}CUDA UMD Version: {cuda}"
    yield smi_values.now() + "       "
    yield full
    yield _row(f" NVIDIA-SMI {machine.libraries:<23}{versions}", 89)
    yield rule
    yield "| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |"
    yield "| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |"
    yield "|                                         |                        |               MIG M. |"
    yield f"|{'=' * 41}+{'=' * 24}+{'=' * 22}|"
    for gpu in gpus:
        yield from _summary(machine, gpu)
        yield rule
    yield ""
    yield full
    yield _row(" Processes:", 89)
    yield _row("  GPU   GI   CI              PID   Type   Process name                        GPU Memory", 89)
    yield _row("        ID   ID                                                               Usage", 89)
    yield f"|{'=' * 89}|"
    rows = [(gpu, client) for gpu in gpus for client in gpu.clients() if not client.is_hidden]
    for gpu, client in rows:
        instance = "N/A" if client.instance is None else str(client.instance)
        compute = "N/A" if client.compute is None else str(client.compute)
        yield (
            f"| {machine.index(gpu):>4} {instance:>5} {compute:>4} {client.pid:>15}      C   "
            f"{client.name[:36]:<36} {client.memory_mib:>7}MiB |"
        )
    if not rows:
        yield _row("  No running processes found", 89)
    yield full


def _summary(machine: Machine, gpu: Gpu) -> Lines:
    told = smi_values.values(machine, gpu)
    name = gpu.kind.name if len(gpu.kind.name) <= 27 else f"{gpu.kind.name[:24]}..."
    persistence = "On" if gpu.persistence else "Off"
    errors = "On" if gpu.mig else str(gpu.uncorrected) if gpu.ecc else "Off"
    used, total = (told[f"fb_memory_usage/{what}"].replace(" ", "") for what in ("used", "total"))
    draw = told[f"{smi_values.power_block(machine)}/power_draw"].partition(".")[0]
    use = "N/A" if gpu.mig else "0%"
    mode = {"Default": "Default", "Prohibited": "Prohibited", "Exclusive_Process": "E. Process"}[gpu.compute_mode]
    mig_mode = told["mig_mode/current_mig"]
    yield f"|{machine.index(gpu):>4}  {name:<31}{persistence:<4}|   {gpu.address} Off | {errors:>20} |"
    yield f"| N/A   33C    P0 {draw:>14}W / {gpu.power_w:>4.0f}W | {used:>10} / {total:>9} | {use:>7} {mode:>12} |"
    yield f"|{'':41}|{'':24}| {mig_mode:>20} |"


def _is_wide(machine: Machine) -> bool:
    return machine.major >= 570


def _row(text: str, width: int) -> str:
    return f"|{text:<{width}}|"
