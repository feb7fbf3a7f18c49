# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Asks amd-smi, or rocm-smi where that is all there is.

``amd-smi`` prints a bare list before ROCm 7 and ``{"gpu_data": [...]}`` since; both print warnings before the JSON, and
neither sets a useful exit code: without the driver they answer 0 or 255 and no JSON. So the JSON decides.
"""

from __future__ import annotations

import json
import re
import typing as t

from .._errors import CommandError
from .._runner import Completed, Runner, must
from . import values
from .pci import KERNEL_DRIVERS, normal_address
from .tool import Answer, not_installed
from .types import Driver, Gpu, PciDevice, Process

_FAILED = "the state of the AMD GPUs could not be read"
# Where JSON begins: not "[WARNING] ...", and not in the middle of a document that lost its head.
_JSON = re.compile(r"^(?:\{|\[\s*(?=[\]{]))", re.MULTILINE)
_ROCM_SMI = (
    "rocm-smi",
    "--showid",
    "--showuniqueid",
    "--showproductname",
    "--showbus",
    "--showmeminfo",
    "vram",
    "--showtemp",
    "--showuse",
    "--showmaxpower",
    "--showdriverversion",
    "--json",
)

Row = t.Mapping[str, t.Any]


def read(run: Runner, devices: t.Sequence[PciDevice], *, timeout_s: float) -> Answer:
    """All that the AMD tools tell. ``devices`` are the AMD GPUs on the PCI bus: without any, no tool is asked.

    Raises CommandError when a tool hangs, or prints no whole JSON document although the driver is bound to a GPU.
    """
    if not devices:
        return Answer()
    is_bound = any(device.kernel_driver == KERNEL_DRIVERS["amd"] for device in devices)
    for ask in (_amd_smi, _rocm_smi):
        answer = ask(run, is_bound, timeout_s)
        if answer.is_tool_installed:
            return answer
    return Answer(is_tool_installed=False, why_unlisted="neither amd-smi nor rocm-smi is installed")


def _amd_smi(run: Runner, is_bound: bool, timeout_s: float) -> Answer:
    listing = run("amd-smi", "list", "--json", timeout_s=timeout_s)
    if not_installed(listing):
        return Answer(is_tool_installed=False)
    if not is_bound and _has_no_driver(listing):
        return Answer(why_unlisted=f"amd-smi says: {listing.last_words}")
    listed, static, metric, process = (
        rows(done)
        for done in (
            listing,
            *(run("amd-smi", part, "--json", timeout_s=timeout_s) for part in ("static", "metric", "process")),
        )
    )
    gpus = tuple(
        parse_amd_smi(index, row, static.get(index, {}), metric.get(index, {}), process.get(index, {}))
        for index, row in sorted(listed.items())
    )
    drivers = [section(row, "driver") for row in static.values()]
    version = next((values.version(_first(driver, "version", "driver_version")) for driver in drivers), None)
    return Answer(gpus, Driver(version=version), "amd-smi does not list it")


def parse_amd_smi(index: int, listed: Row, static: Row, metric: Row, process: Row) -> Gpu:
    """One GPU from its rows in ``amd-smi list``, ``static``, ``metric`` and ``process``."""
    asic, bus, vram = section(static, "asic"), section(static, "bus"), section(static, "vram")
    limit = section(static, "limit")
    # ROCm 7.2 and newer give a limit per package power tracking loop; the first is the socket.
    limit = section(limit, "ppt0") or limit
    temperature = section(metric, "temperature")
    celsius = [values.measure(temperature.get(sensor)) for sensor in ("edge", "hotspot")]
    uncorrected = values.measure(section(metric, "ecc").get("total_uncorrectable_count"))
    busy = values.measure(section(metric, "usage").get("gfx_activity"))
    return Gpu(
        vendor="amd",
        index=index,
        uuid=values.known(_first(listed, "uuid")),
        pci_address=normal_address(_first(listed, "bdf") or _first(bus, "bdf")),
        pci_id=_pci_id(_first(asic, "device_id")),
        name=values.known(_first(asic, "market_name")),
        architecture=values.known(_first(asic, "target_graphics_version")),
        memory_total_mib=values.mib(vram.get("size", vram.get("vram_size"))),
        power_limit_w=_limit(limit.get("socket_power_limit", limit.get("socket_power"))),
        power_limit_min_w=values.measure(limit.get("min_power_limit", limit.get("min_power"))),
        power_limit_max_w=_limit(limit.get("max_power_limit", limit.get("max_power"))),
        ecc_uncorrected=None if uncorrected is None else round(uncorrected),
        temperature_c=next((round(value) for value in celsius if value is not None), None),
        utilization_percent=None if busy is None else round(busy),
        processes=tuple(_processes(process)),
    )


def _processes(row: Row) -> t.Iterator[Process]:
    entries = row.get("process_list")
    for entry in entries if isinstance(entries, list) else ():
        # A GPU without processes has a sentence in the place of this object.
        info = section(entry, "process_info") if isinstance(entry, dict) else {}
        pid = values.measure(info.get("pid"))
        if pid is not None:
            vram = section(info, "memory_usage").get("vram_mem", info.get("mem_usage"))
            yield Process(pid=round(pid), name=values.program(_first(info, "name")), memory_mib=values.mib(vram, "B"))


def _rocm_smi(run: Runner, is_bound: bool, timeout_s: float) -> Answer:
    done = run(*_ROCM_SMI, timeout_s=timeout_s)
    if not_installed(done):
        return Answer(is_tool_installed=False)
    if not is_bound and _has_no_driver(done):
        return Answer(why_unlisted=f"rocm-smi says: {done.last_words}")
    document = _document(done)
    if not isinstance(document, dict):
        raise CommandError(f"{_FAILED}: rocm-smi printed no object per card", done)
    gpus = tuple(parse_rocm_smi(int(card[4:]), row) for card, row in document.items() if re.fullmatch(r"card\d+", card))
    version = values.version(_first(section(document, "system"), "Driver version"))
    return Answer(gpus, Driver(version=version), "rocm-smi does not list it")


def parse_rocm_smi(index: int, row: Row) -> Gpu:
    """One card of ``rocm-smi --json``. The capital letters of its keys differ between ROCm 6.0 and 6.1."""
    card = {key.lower(): value for key, value in row.items()}
    return Gpu(
        vendor="amd",
        index=index,
        uuid=values.known(_first(card, "unique id")),
        pci_address=normal_address(_first(card, "pci bus")),
        pci_id=_pci_id(_first(card, "device id")),
        name=values.known(_first(card, "card series", "device name")),
        architecture=values.known(_first(card, "gfx version")),
        memory_total_mib=values.mib(card.get("vram total memory (b)"), "B"),
        power_limit_w=_limit(card.get("max graphics package power (w)")),
        temperature_c=values.whole(_first(card, "temperature (sensor edge) (c)", "temperature (sensor junction) (c)")),
        utilization_percent=values.whole(_first(card, "gpu use (%)")),
    )


def _has_no_driver(done: Completed) -> bool:
    return not done.timed_out and not _JSON.search(done.stdout)


def _document(done: Completed) -> t.Any:
    begin = _JSON.search(done.stdout)
    if begin and not done.timed_out:
        try:
            return json.JSONDecoder().raw_decode(done.stdout, begin.start())[0]
        except ValueError:
            pass
    must(done, _FAILED)
    raise CommandError(f"{_FAILED}: {done.argv[0]} printed no whole JSON document: {done.last_words}", done)


def rows(done: Completed) -> dict[int, Row]:
    """What ``amd-smi ... --json`` printed of each GPU, by its index."""
    return _by_gpu(_document(done), done)


def _by_gpu(document: t.Any, done: Completed) -> dict[int, Row]:
    rows: t.Any = document.get("gpu_data") if isinstance(document, dict) else document
    try:
        return {int(row["gpu"]): row for row in rows}
    except (TypeError, KeyError, ValueError) as exc:
        raise CommandError(f"{_FAILED}: {done.argv[0]} printed JSON without a row per GPU", done) from exc


def section(row: Row, name: str) -> Row:
    """A nested object; empty where the tool printed "N/A" in its place."""
    value = row.get(name)
    return value if isinstance(value, dict) else {}


def _first(row: Row, *names: str) -> str | None:
    """The first of these texts that says something."""
    return next((value for name in names if isinstance(value := row.get(name), str) and values.known(value)), None)


def _limit(value: t.Any) -> float | None:
    """A power limit of 0 W is how amd-smi says that the kernel offers none (integrated GPUs)."""
    return values.measure(value) or None


def _pci_id(device: str | None) -> str | None:
    found = re.fullmatch(r"(?:0x)?([0-9a-f]{4})", values.bare(device))
    return f"1002:{found.group(1)}" if found else None
