# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the simulated machine: one JSON file, written as a whole, read and written under one lock."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import typing as t
import uuid

from . import catalog

_NAMESPACE = uuid.UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")
# The first bus of the GPUs, as the fake PCI devices of the scenarios have it.
_FIRST_BUS = 0x10


def directory() -> pathlib.Path:
    return pathlib.Path(os.environ.get("FAKE_GPU_STATE", "/var/lib/fake-gpu"))


@dataclasses.dataclass
class ComputeInstance:
    """``start`` and ``size`` count compute slices of the GPU instance."""

    number: int
    start: int
    size: int


@dataclasses.dataclass
class GpuInstance:
    """``number`` is its ID, ``profile`` the number of its profile; ``start`` and ``size`` count memory slots."""

    number: int
    profile: int
    start: int
    size: int
    compute: list[ComputeInstance]

    @classmethod
    def load(cls, data: dict[str, t.Any]) -> GpuInstance:
        return cls(**{**data, "compute": [ComputeInstance(**one) for one in data["compute"]]})


@dataclasses.dataclass
class Holder:
    """A client of a GPU. ``is_hidden``: nvidia-smi does not list it, as it does not list monitors.

    ``is_alive``: the process existed when the test named it, so the client ends with it.
    """

    pid: int
    name: str
    memory_mib: int = 256
    instance: int | None = None
    compute: int | None = None
    is_hidden: bool = False
    is_alive: bool = False


@dataclasses.dataclass
class Gpu:
    """One GPU. ``power_w`` and the locks are lost when nobody keeps the device initialised."""

    model: str
    uuid: str
    bus: int
    minor: int
    serial: str
    persistence: bool = False
    power_w: float = 0
    compute_mode: str = "Default"
    ecc: bool = True
    ecc_pending: bool = True
    mig: bool = False
    mig_pending: bool = False
    clocks: list[int] | None = None
    memory_clocks: list[int] | None = None
    virtualization: str = "None"
    recovery: str = "None"
    uncorrected: int = 0
    link_width: int = 16
    instances: list[GpuInstance] = dataclasses.field(default_factory=list)
    holders: list[Holder] = dataclasses.field(default_factory=list)

    @classmethod
    def load(cls, data: dict[str, t.Any]) -> Gpu:
        return cls(
            **{
                **data,
                "instances": [GpuInstance.load(one) for one in data["instances"]],
                "holders": [Holder(**one) for one in data["holders"]],
            }
        )

    @property
    def kind(self) -> catalog.Model:
        return catalog.MODELS[self.model]

    @property
    def address(self) -> str:
        """As nvidia-smi writes it, with a domain of eight digits."""
        return f"00000000:{self.bus:02X}:00.0"

    @property
    def short_address(self) -> str:
        return f"0000:{self.bus:02x}:00.0"

    def profile(self, number: int) -> catalog.Profile:
        return next(one for one in self.kind.profiles if one.number == number)

    def mig_uuid(self, instance: int, compute: int) -> str:
        """The same instance of the same GPU has the same UUID each time, as with the real driver."""
        return f"MIG-{uuid.uuid5(_NAMESPACE, f'{self.uuid}/{instance}/{compute}')}"

    def mig_devices(self) -> list[tuple[GpuInstance, ComputeInstance]]:
        """In the order of their indexes."""
        return [
            (one, compute)
            for one in sorted(self.instances, key=lambda instance: instance.number)
            for compute in sorted(one.compute, key=lambda compute: compute.number)
        ]

    def clients(self) -> list[Holder]:
        """Who keeps the GPU busy: what a test named, and all that have its device file open."""
        alive = [one for one in self.holders if not one.is_alive or (proc() / str(one.pid)).exists()]
        return [*alive, *self._openers({one.pid for one in alive})]

    def _openers(self, known: set[int]) -> list[Holder]:
        device, found = f"/dev/nvidia{self.minor}", []
        for process in sorted(proc().glob("[0-9]*")):
            if int(process.name) in known:
                continue
            with contextlib.suppress(OSError):
                if any(os.readlink(entry) == device for entry in (process / "fd").iterdir()):
                    name = (process / "comm").read_text().strip()
                    found.append(Holder(int(process.name), name, is_hidden=True))
        return found

    def initialise(self) -> None:
        """What the driver sets when it first touches the device."""
        self.power_w = float(self.kind.power[1])
        self.clocks = self.memory_clocks = None

    def end_pending(self) -> None:
        self.ecc, self.mig = self.ecc_pending, self.mig_pending

    def reset(self) -> None:
        """A reset of the device: what was pending counts, and what is not written down in the infoROM is lost."""
        self.end_pending()
        self.initialise()
        self.persistence = False
        self.instances.clear()
        self.recovery, self.uncorrected = "None", 0

    def forget(self) -> None:
        """The driver goes: newer GPUs forget MIG mode with it."""
        if not self.kind.keeps_mig_mode:
            self.mig_pending = False
        self.reset()
        self.compute_mode = "Default"
        self.holders.clear()


@dataclasses.dataclass
class AmdGpu:
    """One MI300X."""

    uuid: str
    bus: int
    power_w: float = 750
    uncorrected: int = 0
    holders: list[Holder] = dataclasses.field(default_factory=list)

    @classmethod
    def load(cls, data: dict[str, t.Any]) -> AmdGpu:
        return cls(**{**data, "holders": [Holder(**one) for one in data["holders"]]})

    @property
    def address(self) -> str:
        return f"0000:{self.bus:02x}:00.0"


@dataclasses.dataclass
class Fault:
    """``on``: a word of the command line that it is about, empty for all. ``count``: how often it strikes, 0: ever."""

    name: str
    gpu: str = ""
    on: str = ""
    count: int = 0
    seconds: float = 0


@dataclasses.dataclass
class Machine:
    """All of it. ``libraries`` is the version of the driver's libraries, which can differ from the loaded module."""

    name: str
    driver: str
    libraries: str
    gpus: list[Gpu]
    faults: list[Fault]
    toolkit: str = "1.20.0"
    rocm: str = "7.0.2"
    amd: list[AmdGpu] = dataclasses.field(default_factory=list)

    @property
    def major(self) -> int:
        return int(self.driver.split(".", 1)[0])

    def find(self, text: str) -> Gpu | None:
        """By index, UUID or bus id, as nvidia-smi takes them."""
        if text.isdigit():
            return self.gpus[int(text)] if int(text) < len(self.gpus) else None
        desired = text.lower()
        for gpu in self.gpus:
            tails = (gpu.address.lower(), gpu.short_address, gpu.short_address[5:], gpu.uuid.lower())
            if desired in tails:
                return gpu
        return None

    def index(self, gpu: Gpu) -> int:
        return self.gpus.index(gpu)

    def is_lost(self, gpu: Gpu) -> bool:
        return any(one.name == "lost" and one.gpu == gpu.uuid for one in self.faults)

    def settle(self) -> None:
        """Without persistence mode the driver lets go of a GPU that nobody uses, and its settings with it."""
        for gpu in self.gpus:
            if not gpu.persistence and not gpu.clients():
                gpu.initialise()


def new(name: str, driver: str, *, toolkit: str, rocm: str, virtualization: str) -> Machine:
    """A machine as it is after its first boot. Raises KeyError for an unknown name."""
    gpus = []
    for number, model in enumerate(catalog.machine(name)):
        own = uuid.uuid5(_NAMESPACE, f"{name}/{number}")
        gpu = Gpu(
            model, f"GPU-{own}", _FIRST_BUS + number, number, str(1650000000001 + number), virtualization=virtualization
        )
        gpu.initialise()
        gpus.append(gpu)
    amd = [
        AmdGpu(str(uuid.uuid5(_NAMESPACE, f"{name}/amd/{number}")), _FIRST_BUS + len(gpus) + number)
        for number in range(catalog.AMD_COUNTS.get(name, 0))
    ]
    return Machine(name, driver, driver, gpus, [], toolkit, rocm, amd)


@contextlib.contextmanager
def opened() -> t.Iterator[Machine]:
    """The machine, to read and to change. Raises FileNotFoundError before ``fake-gpu init``."""
    with locked():
        data = json.loads((directory() / "state.json").read_text())
        data["gpus"] = [Gpu.load(one) for one in data["gpus"]]
        data["amd"] = [AmdGpu.load(one) for one in data["amd"]]
        data["faults"] = [Fault(**one) for one in data["faults"]]
        machine = Machine(**data)
        yield machine
        write(machine)


@contextlib.contextmanager
def locked() -> t.Iterator[None]:
    directory().mkdir(parents=True, exist_ok=True)
    with open(directory() / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write(machine: Machine) -> None:
    new_file = directory() / "state.json.new"
    new_file.write_text(json.dumps(dataclasses.asdict(machine), indent=1) + "\n")
    new_file.replace(directory() / "state.json")


def note_call(argv: t.Sequence[str]) -> None:
    """One line of JSON per call, so that tests can count commands."""
    directory().mkdir(parents=True, exist_ok=True)
    with open(directory() / "calls.log", "a", encoding="utf-8") as log:
        log.write(json.dumps(list(argv)) + "\n")


def proc() -> pathlib.Path:
    return pathlib.Path(os.environ.get("FAKE_GPU_PROC", "/proc"))
