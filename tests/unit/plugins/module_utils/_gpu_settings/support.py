# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Runner that simulates nvidia-smi and systemctl with state. Synthetic: the tables have the shape that NVIDIA
documents, and no GPU of it exists."""

from __future__ import annotations

import dataclasses
import re

from ansible_collections.mlops.hosts.plugins.module_utils._runner import Completed

# name, id, total, size, starts: those of an A100 with 40 GB.
A100 = (
    ("1g.5gb", 19, 7, 1, (0, 1, 2, 3, 4, 5, 6)),
    ("1g.5gb+me", 20, 1, 1, (0, 1, 2, 3, 4, 5, 6)),
    ("1g.10gb", 15, 4, 2, (0, 2, 4, 6)),
    ("2g.10gb", 14, 3, 2, (0, 2, 4)),
    ("3g.20gb", 9, 2, 4, (0, 4)),
    ("4g.20gb", 5, 1, 4, (0,)),
    ("7g.40gb", 0, 1, 8, (0,)),
)
MODES = {"0": "Default", "2": "Prohibited", "3": "Exclusive_Process"}
SWITCH = {"0": "Disabled", "1": "Enabled"}


@dataclasses.dataclass
class FakeGpu:
    """One GPU. ``processes`` are (pid, name, GPU instance or None)."""

    uuid: str = "GPU-1"
    address: str = "00000000:07:00.0"
    name: str = "NVIDIA A100-SXM4-40GB"
    persistence: str = "Enabled"
    power: str = "400.00 W"
    compute: str = "Default"
    ecc: list[str] = dataclasses.field(default_factory=lambda: ["Enabled", "Enabled"])
    mig: list[str] = dataclasses.field(default_factory=lambda: ["Disabled", "Disabled"])
    virtual: str = "None"
    instances: list[tuple[str, int, int, int]] = dataclasses.field(default_factory=list)
    compute_of: dict[int, list[str]] = dataclasses.field(default_factory=dict)
    processes: list[tuple[int, str, int | None]] = dataclasses.field(default_factory=list)

    def add(self, name: str, start: int, *, compute: list[str] | None = None) -> int:
        number = max((one[1] for one in self.instances), default=0) + 1
        size = next(size for known, _id, _total, size, _starts in A100 if known == name)
        self.instances.append((name, number, start, size))
        self.compute_of[number] = [name] if compute is None else compute
        return number

    @property
    def xml(self) -> str:
        processes = "".join(
            f"<process_info><gpu_instance_id>{'N/A' if owner is None else owner}</gpu_instance_id><pid>{pid}</pid>"
            f"<process_name>{name}</process_name></process_info>"
            for pid, name, owner in self.processes
        )
        return (
            f'<gpu id="{self.address}"><product_name>{self.name}</product_name><uuid>{self.uuid}</uuid>'
            f"<persistence_mode>{self.persistence}</persistence_mode><compute_mode>{self.compute}</compute_mode>"
            f"<mig_mode><current_mig>{self.mig[0]}</current_mig><pending_mig>{self.mig[1]}</pending_mig></mig_mode>"
            f"<gpu_virtualization_mode><virtualization_mode>{self.virtual}</virtualization_mode>"
            "</gpu_virtualization_mode>"
            f"<ecc_mode><current_ecc>{self.ecc[0]}</current_ecc><pending_ecc>{self.ecc[1]}</pending_ecc></ecc_mode>"
            f"<gpu_power_readings><requested_power_limit>{self.power}</requested_power_limit>"
            "<min_power_limit>100.00 W</min_power_limit><max_power_limit>400.00 W</max_power_limit>"
            "</gpu_power_readings><max_clocks><sm_clock>1410 MHz</sm_clock><mem_clock>1215 MHz</mem_clock></max_clocks>"
            f"<pci><pci_bus_id>{self.address}</pci_bus_id></pci><processes>{processes}</processes></gpu>"
        )


class FakeSmiHost:
    """Answers nvidia-smi and systemctl. ``faults``: by the flag of a command, what becomes of it in place of its work:
    a Completed, or "ignored" for exit 0 and nothing done. ``tells_profiles``: also with MIG mode off."""

    def __init__(self, *gpus: FakeGpu, tells_profiles: bool = True, units: dict[str, bool] | None = None) -> None:
        self.gpus = list(gpus)
        self.tells_profiles = tells_profiles
        self.units = dict(units or {})
        self.faults: dict[str, Completed | str] = {}
        self.busy_mode = ""
        self.calls: list[tuple[str, ...]] = []

    def __call__(self, *argv: str, timeout_s: float | None = None, stdin: str | None = None) -> Completed:
        assert timeout_s, "every command is bounded"
        self.calls.append(argv)
        for flag, fault in self.faults.items():
            if flag in argv:
                ignored = Completed(argv, 0, "All done.\n", "")
                return ignored if isinstance(fault, str) else dataclasses.replace(fault, argv=argv)
        rc, out = self._systemctl(argv[1:]) if argv[0] == "systemctl" else self._smi(argv)
        return Completed(argv, rc, out, "")

    def changes(self) -> list[str]:
        """The commands of nvidia-smi that change something, and systemctl's, as lines."""
        reads = ("-q", "-L", "-lgip", "-lgipp", "-lgi", "-lci", "is-active", "show")
        return [" ".join(argv) for argv in self.calls if not any(word in argv for word in reads)]

    def _systemctl(self, argv: tuple[str, ...]) -> tuple[int, str]:
        unit = argv[-1]
        if "is-active" in argv:
            return (0, "") if self.units.get(unit) else (3, "")
        if "show" in argv:
            return 0, "loaded\n" if unit in self.units else "not-found\n"
        if "stop" in argv or "start" in argv:
            self.units[unit] = "start" in argv
            if unit == "frees.service":
                for gpu in self.gpus:
                    gpu.processes.clear()
        return 0, ""

    def _smi(self, argv: tuple[str, ...]) -> tuple[int, str]:
        chosen = argv[argv.index("-i") + 1] if "-i" in argv else None
        gpus = [gpu for gpu in self.gpus if chosen in (None, gpu.uuid)]
        if argv[1:] == ("-q", "-x"):
            inside = "".join(gpu.xml for gpu in gpus)
            return 0, f"<nvidia_smi_log><attached_gpus>{len(gpus)}</attached_gpus>{inside}</nvidia_smi_log>"
        if argv[1] == "mig":
            return self._mig(gpus[0], argv[4:])
        return self._set(gpus[0], argv)

    def _set(self, gpu: FakeGpu, argv: tuple[str, ...]) -> tuple[int, str]:
        flag, value = (argv[1], "") if argv[1] == "--gpu-reset" else (argv[3], argv[4] if len(argv) > 4 else "")
        if flag == "--gpu-reset":
            if gpu.processes:
                return 19, f"GPU {gpu.address} is in use by another client\n"
            gpu.ecc[0], gpu.mig[0], gpu.power, gpu.persistence = gpu.ecc[1], gpu.mig[1], "400.00 W", "Disabled"
            gpu.instances.clear()
        elif flag == "-pm":
            gpu.persistence = SWITCH[value]
        elif flag == "-pl":
            gpu.power = f"{float(value):.2f} W"
        elif flag == "-c":
            gpu.compute = MODES[value]
        elif flag == "-e":
            gpu.ecc[1] = SWITCH[value]
        elif flag == "-mig":
            gpu.mig[1] = SWITCH[value]
            if self.busy_mode:
                return 0, (
                    f"Warning: MIG mode is in pending enable state for GPU {gpu.address}:{self.busy_mode}\nAll done.\n"
                )
            gpu.mig[0] = gpu.mig[1]
        return 0, "All done.\n"

    def _mig(self, gpu: FakeGpu, argv: tuple[str, ...]) -> tuple[int, str]:
        what, on = argv[0], gpu.mig[0] == "Enabled"
        if not on and not (self.tells_profiles and what in ("-lgip", "-lgipp")):
            return 6, "No MIG-enabled devices found.\n"
        if what == "-lgip":
            rows = (
                f"|   0  MIG {name:<14} {number:>3}     {total}/{total}   |\n" for name, number, total, _s, _p in A100
            )
            return 0, "| GPU instance profiles: |\n" + "".join(rows)
        if what == "-lgipp":
            return 0, "".join(
                f"GPU  0 Profile ID {number:>2} Placements: {{{','.join(map(str, starts))}}}:{size}\n"
                for _name, number, _total, size, starts in A100
            )
        if what == "-lgi":
            if not gpu.instances:
                return 6, "No GPU instances found: Not Found\n"
            return 0, "".join(
                f"|   0  MIG {name:<14} 19  {number:>7}  {start:>9}:{size}  |\n"
                for name, number, start, size in gpu.instances
            )
        if what == "-lci":
            rows = [
                f"|   0  {owner:>5}  MIG {name:<14}  0   {count}    0:1  |\n"
                for owner, names in gpu.compute_of.items()
                for count, name in enumerate(names)
            ]
            return (0, "".join(rows)) if rows else (6, "No compute instances found: Not Found\n")
        return self._change(gpu, argv)

    def _change(self, gpu: FakeGpu, argv: tuple[str, ...]) -> tuple[int, str]:
        if argv[0] == "-cgi":
            for tuple_ in argv[1].split(","):
                number, _colon, start = tuple_.partition(":")
                name, _id, _total, size, starts = next(one for one in A100 if number in (str(one[1]), one[0]))
                taken = {slot for _n, _i, at, long in gpu.instances for slot in range(at, at + long)}
                at = int(start or next((one for one in starts if not {*range(one, one + size)} & taken), -1))
                if at < 0 or {*range(at, at + size)} & taken:
                    return 19, "Failed to create GPU instances: Insufficient Resources\n"
                gpu.add(name, at)
            return 0, "Successfully created\n"
        number = int(argv[2])
        if argv[0] == "-cci":
            gpu.compute_of[number] = [name for name, own, _start, _size in gpu.instances if own == number]
        elif argv[0] == "-dci":
            if any(owner == number for _pid, _name, owner in gpu.processes):
                return 19, "Unable to destroy compute instance: In use by another client\n"
            del gpu.compute_of[number]
        elif argv[0] == "-dgi":
            assert not gpu.compute_of.pop(number, None), "compute instances go first"
            gpu.instances = [one for one in gpu.instances if one[1] != number]
        return 0, f"Successfully {re.sub('-', '', argv[0])}\n"
