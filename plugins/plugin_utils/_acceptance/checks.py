# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""From what a host told, and what was measured on it, to a list of checks. Pure."""

from __future__ import annotations

import dataclasses
import typing as t

from . import thresholds

Data = t.Mapping[str, t.Any]
Status = t.Literal["passed", "failed", "skipped"]
LEVELS = ("quick", "standard", "burn_in")
# By the level from which they count. The first is of every host.
QUICK = (
    "readable",
    "gpu_count",
    "driver",
    "gpu_health",
    "gpu_memory",
    "pcie_width",
    "gpu_events",
    "cdi",
    "container",
)
STANDARD = ("gpu_idle", "bandwidth", "pcie_speed", "dcgm", "inference", "gpu_events_during")
TITLES = {
    "readable": "The host can be read",
    "gpu_count": "The driver has every GPU of the PCI bus",
    "driver": "Libraries, kernel module and packages of the driver fit each other",
    "gpu_health": "No GPU asks for recovery, and its tool has no other complaint",
    "gpu_memory": "The memory of the GPUs has no uncorrectable errors, and no repair waits",
    "pcie_width": "Every GPU has all lanes of its link",
    "gpu_events": "The kernel has logged no fault of GPU hardware since the boot",
    "cdi": "The CDI specification fits the GPUs",
    "container": "A container sees the GPUs",
    "gpu_idle": "No process uses the GPUs while they are tested",
    "bandwidth": "The GPUs copy as fast as their model does",
    "pcie_speed": "Every link has its full speed under load",
    "dcgm": "The diagnostics of DCGM pass",
    "inference": "The models answer",
    "gpu_events_during": "The kernel has logged nothing of the GPUs during the tests",
}
_NOTHING_READ = "The host could not be read."
_NO_GPU = "The host has no GPU."
_SHOWN = 5
# A GPU takes a moment to raise the speed of its link.
_READINGS = 3


@dataclasses.dataclass(frozen=True)
class Check:
    """``found`` says why where it was skipped. ``fix`` is None unless it failed."""

    id: str
    status: Status
    expected: str
    found: str
    fix: str | None = None
    seconds: float | None = None

    def as_result(self) -> dict[str, t.Any]:
        return {"id": self.id, "title": TITLES[self.id], **dataclasses.asdict(self)}


@dataclasses.dataclass(frozen=True)
class Host:
    """``read``: what acceptance_info returned, ``probe``: gpu_probe; ``models``: model_probe of each model that was
    asked; ``events``: gpu_events_info after the tests. None or empty for what was not run."""

    read: Data
    probe: Data | None
    models: t.Sequence[Data]
    events: Data | None
    options: Data
    dry_run: bool

    def part(self, name: str) -> Data:
        """An answer, that of a module which failed too."""
        return t.cast("Data", self.read.get(name) or {"failed": True, "msg": _NOTHING_READ})

    @property
    def gpus(self) -> list[Data]:
        return list(self.part("gpus").get("gpus") or ())

    @property
    def answering(self) -> list[Data]:
        return [gpu for gpu in self.gpus if gpu.get("uuid")]


def check(host: Host) -> list[dict[str, t.Any]]:
    """All checks of the level but those that the site leaves out, in order. What is required and cannot be tested has
    failed."""
    level = LEVELS.index(host.options["level"])
    names = QUICK + (STANDARD if level else ())
    found = [_CHECKS[name](host) for name in names if name not in host.options["skip"]]
    required = host.options["require"]
    return [(_insist(one) if one.id in required else one).as_result() for one in found]


def _insist(one: Check) -> Check:
    if one.status != "skipped":
        return one
    fix = f"Give the host what the check needs, or take {one.id} out of acceptance_require."
    return dataclasses.replace(one, status="failed", fix=fix)


def _readable(host: Host) -> Check:
    expected = "Every part of the host can be read."
    problems = [str(host.read.get("msg"))] if host.read.get("failed") else []
    for name, answer in host.read.items():
        if isinstance(answer, dict) and answer.get("failed"):
            problems.append(f"{name}: {answer.get('msg')}")
    if problems:
        fix = "Do what the message says; a tool of the driver that hangs or crashes needs a reboot, or a new driver."
        return Check("readable", "failed", expected, _sentences(problems), fix)
    return Check("readable", "passed", expected, "It could be read.")


def _gpu_count(host: Host) -> Check:
    # A virtual machine without a PCI bus has what its driver lists.
    on_bus = host.part("gpus").get("expected_from_pci") or len(host.answering)
    number = host.options["gpu_count"] or on_bus
    if not number or host.part("gpus").get("failed"):
        return _skipped("gpu_count", host, "gpus", _NO_GPU)
    expected = f"{_count(number, 'GPU')} on the PCI bus, and as many that the driver has."
    found = f"The driver has {len(host.answering)}, and {on_bus} are on the PCI bus"
    if number == on_bus == len(host.answering):
        return Check("gpu_count", "passed", expected, found)
    lost = [f"{gpu.get('pci_address')}: {' '.join(gpu['health_reasons'])}" for gpu in host.gpus if not gpu.get("uuid")]
    fix = "Reboot the host; a GPU that stays lost is seated badly or broken. Where none is, run the role gpu_driver."
    return Check("gpu_count", "failed", expected, _sentences([found, *lost]), fix)


def _driver(host: Host) -> Check:
    driver = host.part("driver")
    expected = "The driver that is installed, loaded and built for the kernels is one."
    verdict, reasons = driver.get("verdict"), driver.get("reasons") or []
    if verdict is None or (verdict == "absent" and not driver.get("gpus")):
        return _skipped("driver", host, "driver", _NO_GPU)
    if verdict == "absent" and driver["vendor"] == "amd" and driver["loaded"]["module"]:
        return _skipped("driver", host, "driver", "The module that came with the kernel is loaded, which fits it.")
    if verdict == "ok":
        return Check("driver", "passed", expected, _sentences(reasons))
    fix = f"{driver.get('next_step') or 'Do what the reasons ask for.'} The role gpu_driver does it."
    return Check("driver", "failed", expected, _sentences([f"Verdict {verdict}", *reasons]), fix)


def _gpu_health(host: Host) -> Check:
    return _per_gpu(
        "gpu_health",
        host,
        "Every GPU is healthy, and its recovery action is none.",
        # A GPU that does not answer is counted above, and its memory has a check of its own.
        lambda gpu: [reason for reason in gpu["health_reasons"] if reason not in gpu["memory_reasons"]],
        "Drain the host, and do what the driver asks for: reset the GPU, or reboot. If it comes back, replace the GPU.",
    )


def _gpu_memory(host: Host) -> Check:
    return _per_gpu(
        "gpu_memory",
        host,
        "No uncorrectable errors since the driver was loaded, and no row that waits to be remapped.",
        lambda gpu: gpu["memory_reasons"],
        "Drain the host, and reset the GPU or reboot, which repairs what can be. If it comes back, replace the GPU.",
    )


def _per_gpu(name: str, host: Host, expected: str, wrong: t.Callable[[Data], t.Sequence[str]], fix: str) -> Check:
    if not host.answering:
        return _skipped(name, host, "gpus", "No GPU answers." if host.gpus else _NO_GPU)
    found = [f"{_called(gpu)}: {' '.join(reasons)}" for gpu in host.answering if (reasons := wrong(gpu))]
    if found:
        return Check(name, "failed", expected, _sentences(found), fix)
    return Check(name, "passed", expected, f"So it is with {_count(len(host.answering), 'GPU')}.")


def _pcie_width(host: Host) -> Check:
    lanes = host.options["pcie_width"]
    expected = (
        f"The link of each GPU has {lanes or 'all the'} lanes{'' if lanes else ' that it can have in this host'}."
    )
    known = [gpu for gpu in host.gpus if gpu.get("pcie_width") and gpu.get("pcie_width_max")]
    if not known:
        reason = "The tool of the driver does not tell the width." if host.gpus else _NO_GPU
        return _skipped("pcie_width", host, "gpus", reason)
    narrow = [
        f"{_called(gpu)} has {gpu['pcie_width']} lanes of {gpu['pcie_width_max']}"
        for gpu in known
        if gpu["pcie_width"] < (lanes or gpu["pcie_width_max"])
    ]
    if narrow:
        fix = "Reboot the host, then seat the GPU, its riser or its cable anew; where the slot has no more, set "
        fix += "acceptance_pcie_width."
        return Check("pcie_width", "failed", expected, _sentences(narrow), fix)
    widths = sorted({gpu["pcie_width"] for gpu in known})
    return Check("pcie_width", "passed", expected, f"Lanes: {', '.join(map(str, widths))}.")


def _gpu_events(host: Host) -> Check:
    expected = "No event of the class hardware since the boot."
    told = host.part("gpu_events")
    if "hardware_fault" not in told:
        return _skipped("gpu_events", host, "gpu_events", str(told.get("msg")))
    if not host.gpus and not told["hardware_fault"]:
        return _skipped("gpu_events", host, "gpus", _NO_GPU)
    faults = [event for event in told["events"] if event["hardware_fault"]]
    if told["hardware_fault"]:
        actions = dict.fromkeys(str(event["action"]) for event in faults)
        fix = f"Drain the host, then do what the catalogue asks for: {', '.join(actions) or 'see gpu_events_info'}."
        return Check("gpu_events", "failed", expected, _events(faults), fix)
    return Check("gpu_events", "passed", expected, f"None in the {told['log']}.")


def _cdi(host: Host) -> Check:
    expected = "A specification offers the GPUs that the host has, with the driver that is loaded."
    vendors = list(dict.fromkeys(gpu["vendor"] for gpu in host.gpus))
    if not vendors:
        return _skipped("cdi", host, "gpus", _NO_GPU)
    has_engine = host.part("docker").get("active") or host.part("podman").get("version")
    bad, good, fixes = [], [], []
    for vendor in vendors:
        told = host.part(f"cdi_{vendor}")
        verdict = told.get("verdict")
        if verdict is None:
            return _skipped("cdi", host, f"cdi_{vendor}", str(told.get("msg")))
        stale = [item["name"] for item in told.get("containers_to_recreate") or ()]
        if verdict == "missing" and not has_engine:
            good.append("Neither Docker nor Podman runs, and there is no specification")
        elif verdict not in ("fresh", "not_needed"):
            bad += [f"Verdict {verdict}", *told["reasons"]]
            fixes.append(f"Run {told['refresh_command']}, or the role container_runtime.")
        elif stale:
            bad.append(f"Containers hold on to a driver or devices that are gone: {_some(stale)}")
            fixes.append("Create these containers anew.")
        else:
            good.append(f"Verdict {verdict}")
    if bad:
        return Check("cdi", "failed", expected, _sentences(bad), " ".join(fixes))
    status: Status = "skipped" if all("Neither" in said for said in good) else "passed"
    return Check("cdi", status, expected, _sentences(good))


def _container(host: Host) -> Check:
    number = len([gpu for gpu in host.answering if gpu["vendor"] == "nvidia"])
    expected = f"A container lists {_count(number, 'GPU')}."
    told = _probed("container", host, expected)
    if isinstance(told, Check):
        return told
    said = [f"{one['engine']}: {one['problem'] or _count(one['gpus'], 'GPU')}" for one in told["engines"]]
    good = all(one["gpus"] == number for one in told["engines"])
    fix = None if good else "Run the role container_runtime with its GPU toolkit; its image must be on the host."
    return Check("container", "passed" if good else "failed", expected, _sentences(said), fix, _seconds(told))


def _gpu_idle(host: Host) -> Check:
    expected = "No process uses a GPU."
    if host.options["load"] != "when_idle":
        return Check("gpu_idle", "skipped", expected, f"acceptance_load is {host.options['load']}.")
    if why := _not_run(host):
        return Check("gpu_idle", "skipped", expected, why)
    users = [f"{one['name']} ({one['pid']})" for one in (host.probe or {})["in_use"]]
    if not users:
        return Check("gpu_idle", "passed", expected, "None does.")
    fix = "Stop them, or drain the host and set acceptance_load: when_needed; with never, this is not tested."
    return Check("gpu_idle", "failed", expected, f"In use by {_some(users)}; nothing was started.", fix)


def _bandwidth(host: Host) -> Check:
    threshold = thresholds.of([gpu.get("pci_id") for gpu in host.answering], host.options["bandwidth"])
    expected = "No threshold is known for these GPUs; acceptance_bandwidth can give one."
    if threshold:
        peer = f", and {threshold.peer:g} between two GPUs" if threshold.peer else ""
        expected = f"At least {threshold.host or 0:g} GB/s between the host and each GPU{peer}."
    told = _probed("bandwidth", host, expected)
    if isinstance(told, Check):
        return told
    fix = "Look at the links (nvidia-smi -q, nvidia-smi nvlink --status) and at the NUMA settings of the firmware."
    if told["problem"]:
        return Check("bandwidth", "failed", expected, _sentences([told["problem"]]), fix, _seconds(told))
    lowest = {name: min(told[name]) for name in ("to_gpu", "from_gpu")}
    said = f"Lowest to a GPU {lowest['to_gpu']:g} GB/s, from one {lowest['from_gpu']:g}"
    said += f", between two {told['peer']:g}." if told["peer"] else ", between two not measured."
    if threshold is None:
        return Check("bandwidth", "skipped", expected, said, None, _seconds(told))
    slow = [
        f"GPU {place} has {speed:g} GB/s {words}"
        for name, words in (("to_gpu", "from the host"), ("from_gpu", "to the host"))
        for place, speed in enumerate(told[name])
        if threshold.host and speed < threshold.host
    ]
    if threshold.peer and told["peer"] and told["peer"] < threshold.peer:
        slow.append(f"A GPU reads {told['peer']:g} GB/s from another")
    if slow:
        return Check("bandwidth", "failed", expected, _sentences([*slow, said]), fix, _seconds(told))
    return Check("bandwidth", "passed", expected, said, None, _seconds(told))


def _pcie_speed(host: Host) -> Check:
    expected = "Under load, the link of each GPU has the generation that it can have in this host."
    if why := _not_run(host):
        return Check("pcie_speed", "skipped", expected, why)
    links = (host.probe or {})["links"]
    seen = {one["pci_address"]: one["generation"] for one in links["gpus"]}
    most = {gpu["pci_address"]: gpu for gpu in host.gpus if gpu.get("pcie_generation_max")}
    if not links["readings"]:
        return Check("pcie_speed", "skipped", expected, "No test loaded the GPUs long enough to read it.")
    slow = [
        f"{_called(gpu)} has generation {seen.get(address, 0)} of {gpu['pcie_generation_max']}"
        for address, gpu in most.items()
        if seen.get(address, 0) < gpu["pcie_generation_max"]
    ]
    if slow and links["readings"] < _READINGS:
        return Check("pcie_speed", "skipped", expected, "The test was too short to tell.")
    if slow:
        fix = "Look for AER errors in the kernel log, seat the GPU anew, and update the firmware of the host."
        return Check("pcie_speed", "failed", expected, _sentences(slow), fix)
    return Check("pcie_speed", "passed", expected, f"Generations: {', '.join(map(str, sorted(set(seen.values()))))}.")


def _dcgm(host: Host) -> Check:
    expected = f"All tests of dcgmi diag -r {diag_level(host.options)} pass."
    told = _probed("dcgm", host, expected)
    if isinstance(told, Check):
        return told
    by_status: dict[str, list[Data]] = {}
    for test in told["tests"]:
        by_status.setdefault(test["status"], []).append(test)
    failed = [
        f"{test['name']} failed: {' '.join(test['messages']) or 'no reason'}" for test in by_status.get("failed", ())
    ]
    failed += [told["problem"]] if told["problem"] else []
    counts = ", ".join(f"{len(tests)} {status}" for status, tests in by_status.items())
    said = f"{_count(told['rounds'], 'run')}, the last with {counts or 'no test'}"
    if failed:
        fix = (
            "Keep the host drained, and look the message up in NVIDIA's guide to DCGM; replace a GPU that fails again."
        )
        return Check("dcgm", "failed", expected, _sentences([*failed, said]), fix, _seconds(told))
    status: Status = "passed" if "passed" in by_status else "skipped"
    return Check("dcgm", status, expected, _sentences([said]), None, _seconds(told))


def _inference(host: Host) -> Check:
    asked = host.options["models"]
    expected = f"{_count(len(asked), 'model')} {'answers' if len(asked) == 1 else 'answer'}."
    if not asked:
        return Check("inference", "skipped", "Models answer.", "acceptance_models names none.")
    if not host.models:
        return Check("inference", "skipped", expected, _why_nothing(host))
    said, bad = [], []
    for question, answer in zip(asked, host.models):
        name = f"{question['url']} {question.get('model') or ''}".strip()
        if answer.get("answered") and not answer.get("failed"):
            speed = f", {answer['tokens_per_s']:g} tokens/s" if answer.get("tokens_per_s") else ""
            said.append(f"{name}: first token after {answer.get('ttft_s')} s{speed}")
        else:
            bad.append(f"{name}: {answer.get('msg')}")
    if bad:
        fix = (
            "Do what the message says. The role model_server brings a server up, model_gateway what is in front of it."
        )
        return Check("inference", "failed", expected, _sentences(bad), fix)
    return Check("inference", "passed", expected, _sentences(said))


def _gpu_events_during(host: Host) -> Check:
    expected = "No line of a GPU in the kernel log since the tests began."
    if not host.gpus:
        return _skipped("gpu_events_during", host, "gpus", _NO_GPU)
    if host.events is None:
        return Check("gpu_events_during", "skipped", expected, _why_nothing(host))
    if "events" not in host.events:
        fix = "Do what the message says."
        return Check("gpu_events_during", "failed", expected, _sentences([str(host.events.get("msg"))]), fix)
    before = [_line(event) for event in host.part("gpu_events").get("events") or ()]
    new = [event for event in host.events["events"] if _line(event) not in before]
    if new:
        actions = dict.fromkeys(str(event["action"]) for event in new)
        fix = f"Keep the host drained. The catalogue asks for: {', '.join(actions)}."
        return Check("gpu_events_during", "failed", expected, _events(new), fix)
    return Check("gpu_events_during", "passed", expected, "None was logged.")


def diag_level(options: Data) -> int:
    return int(options["dcgm_level"] or (3 if options["level"] == "burn_in" else 2))


def _probed(name: str, host: Host, expected: str) -> Data | Check:
    """What gpu_probe found, or the check that could not be."""
    if name == "container" and not host.options["container_image"] and host.gpus:
        return Check(name, "skipped", expected, "acceptance_container_image names no image.")
    if host.probe and host.probe.get("failed"):
        said = str(host.probe.get("msg"))
        return Check(name, "failed", expected, f"The test itself failed: {said}", "Do what the message says.")
    told = (host.probe or {}).get(name) or {"skipped": "It was not run."}
    why = _not_run(host) or told["skipped"]
    return Check(name, "skipped", expected, why) if why else t.cast("Data", told)


def _not_run(host: Host) -> str | None:
    """Why nothing was tested on the GPUs."""
    if not host.gpus and not host.part("gpus").get("failed"):
        return _NO_GPU
    if host.probe is None:
        return _why_nothing(host)
    return "The test itself failed." if host.probe.get("failed") else None


def _why_nothing(host: Host) -> str:
    if host.dry_run:
        return "Check mode starts nothing."
    if host.part("gpus").get("failed"):
        return _NOTHING_READ
    return "It was not run."


def _skipped(name: str, host: Host, part: str, reason: str) -> Check:
    """Where the part could not be read, the check ``readable`` has failed, and says why."""
    return Check(name, "skipped", TITLES[name] + ".", _NOTHING_READ if host.part(part).get("failed") else reason)


def _seconds(told: Data) -> float:
    return float(told["seconds"])


def _line(event: Data) -> tuple[t.Any, ...]:
    """What tells an event from another: one that goes on has another count."""
    return tuple(event.get(key) for key in ("source", "code", "pci_address", "first", "count"))


def _events(events: t.Sequence[Data]) -> str:
    return _sentences([f"{event['last']} {event['text']}" for event in events[-_SHOWN:]])


def _called(gpu: Data) -> str:
    return f"GPU {gpu.get('index')} at {gpu.get('pci_address')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun if number == 1 else noun + 's'}"


def _some(names: t.Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _sentences(clauses: t.Iterable[str]) -> str:
    return " ".join(f"{clause.strip().rstrip('.')}." for clause in clauses if clause.strip())


_CHECKS: dict[str, t.Callable[[Host], Check]] = {
    "readable": _readable,
    "gpu_count": _gpu_count,
    "driver": _driver,
    "gpu_health": _gpu_health,
    "gpu_memory": _gpu_memory,
    "pcie_width": _pcie_width,
    "gpu_events": _gpu_events,
    "cdi": _cdi,
    "container": _container,
    "gpu_idle": _gpu_idle,
    "bandwidth": _bandwidth,
    "pcie_speed": _pcie_speed,
    "dcgm": _dcgm,
    "inference": _inference,
    "gpu_events_during": _gpu_events_during,
}
