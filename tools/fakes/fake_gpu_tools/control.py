# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what the fakes simulate. For tests, on the host that has them.

    fake-gpu init --machine a100x2 [--driver 580.95.05] [--virtualization Pass-Through]
    fake-gpu show                                          the state, as JSON
    fake-gpu pci                                           vendor and device of each GPU, as JSON
    fake-gpu fault NAME [--gpu GPU] [--on=WORD] [--count N] [--seconds S]
    fake-gpu clear                                         no faults any more
    fake-gpu hold --gpu GPU --name CMD [--pid N] [--hidden] [--instance GI] [--memory MIB]
    fake-gpu release [--gpu GPU]                           no clients any more
    fake-gpu set --gpu GPU KEY=VALUE...                    recovery=Reset, uncorrected=2, link_width=8, ...
    fake-gpu install --driver VERSION                      new libraries: the loaded module differs until a reload
    fake-gpu reload                                        the driver is unloaded and loaded again
    fake-gpu boot                                          what a reboot does
    fake-gpu calls [--clear]                               each call of a fake, as JSON

Faults of all calls, or of those with WORD in their command line: hang, slow, crash (in the middle of the output), cut
(half of the output, exit 0), not-loaded, mismatch, no-devices, inforom. Of calls that change something: refuse, warn
(exit 0, nothing done, says so), silent (exit 0, nothing done, says that it was). Of a GPU: lost (fallen off the bus),
pending (MIG mode stays pending, over resets).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import typing as t

from . import catalog, state

FAULTS = ("hang", "slow", "crash", "cut", "not-loaded", "mismatch", "no-devices", "inforom", "refuse", "warn") + (
    "silent", "lost", "pending",
)  # fmt: skip


def main(argv: t.Sequence[str]) -> int:
    options = _parser().parse_args(argv)
    try:
        print(options.run(options) or "", end="")
    except (KeyError, FileNotFoundError) as problem:
        print(f"fake-gpu: {problem}; machines: {catalog.names()}", file=sys.stderr)
        return 1
    return 0


def _init(options: argparse.Namespace) -> None:
    machine = state.new(
        options.machine,
        options.driver,
        toolkit=options.toolkit,
        rocm=options.rocm,
        virtualization=options.virtualization,
    )
    with state.locked():
        state.write(machine)
        (state.directory() / "calls.log").unlink(missing_ok=True)


def _show(options: argparse.Namespace) -> str:
    with state.opened() as machine:
        return json.dumps(dataclasses.asdict(machine), indent=1) + "\n"


def _pci(options: argparse.Namespace) -> str:
    with state.opened() as machine:
        amd = ["1002:74a1"] * len(machine.amd)
        return json.dumps([*(f"10de:{gpu.kind.device.lower()}" for gpu in machine.gpus), *amd]) + "\n"


def _fault(options: argparse.Namespace) -> None:
    with state.opened() as machine:
        gpu = _gpu(machine, options.gpu).uuid if options.gpu else ""
        if options.name == "lost" and not gpu:
            gpu = machine.gpus[0].uuid
        machine.faults.append(state.Fault(options.name, gpu, options.on, options.count, options.seconds))


def _clear(options: argparse.Namespace) -> None:
    with state.opened() as machine:
        machine.faults.clear()


def _hold(options: argparse.Namespace) -> None:
    with state.opened() as machine:
        holders = machine.amd[int(options.gpu)].holders if machine.amd else _gpu(machine, options.gpu).holders
        holders.append(
            state.Holder(
                options.pid or 4000 + len(holders),
                options.name,
                options.memory,
                options.instance,
                0 if options.instance is not None else None,
                is_hidden=options.hidden,
                is_alive=bool(options.pid) and (state.proc() / str(options.pid)).exists(),
            )
        )


def _release(options: argparse.Namespace) -> None:
    with state.opened() as machine:
        for gpu in [_gpu(machine, options.gpu)] if options.gpu else machine.gpus:
            gpu.holders.clear()
        for other in machine.amd:
            other.holders.clear()


def _set(options: argparse.Namespace) -> None:
    """Anything of a GPU that is a text, a number or a switch."""
    with state.opened() as machine:
        gpu = _gpu(machine, options.gpu)
        for item in options.values:
            key, _equals, value = item.partition("=")
            kind = type(getattr(gpu, key))
            setattr(gpu, key, value == "true" if kind is bool else kind(value))


def _install(options: argparse.Namespace) -> None:
    with state.opened() as machine:
        machine.libraries = options.driver


def _reload(options: argparse.Namespace) -> None:
    with state.opened() as machine:
        machine.driver = machine.libraries
        for gpu in machine.gpus:
            gpu.forget()


def _boot(options: argparse.Namespace) -> None:
    """A GPU that fell off the bus is back; what a test wants to fail goes on failing."""
    with state.opened() as machine:
        machine.driver = machine.libraries
        machine.faults = [fault for fault in machine.faults if fault.name not in ("lost", "pending")]
        for gpu in machine.gpus:
            gpu.forget()


def _calls(options: argparse.Namespace) -> str:
    with state.locked():
        log = state.directory() / "calls.log"
        lines = log.read_text().splitlines() if log.exists() else []
        if options.clear:
            log.unlink(missing_ok=True)
    return json.dumps([json.loads(line) for line in lines]) + "\n"


def _gpu(machine: state.Machine, text: str) -> state.Gpu:
    gpu = machine.find(text)
    if gpu is None:
        raise KeyError(f"no GPU {text}")
    return gpu


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)

    def verb(name: str, run: t.Callable[[argparse.Namespace], str | None]) -> argparse.ArgumentParser:
        one = verbs.add_parser(name)
        one.set_defaults(run=run)
        return one

    init = verb("init", _init)
    init.add_argument("--machine", required=True)
    init.add_argument("--driver", default="580.95.05")
    init.add_argument("--toolkit", default="1.20.0")
    init.add_argument("--rocm", default="7.0.2")
    init.add_argument("--virtualization", default="None", choices=("None", "Pass-Through"))
    verb("show", _show)
    verb("pci", _pci)
    fault = verb("fault", _fault)
    fault.add_argument("name", choices=FAULTS)
    fault.add_argument("--gpu", default="")
    fault.add_argument("--on", default="")
    fault.add_argument("--count", type=int, default=0)
    fault.add_argument("--seconds", type=float, default=1)
    verb("clear", _clear)
    hold = verb("hold", _hold)
    hold.add_argument("--gpu", required=True)
    hold.add_argument("--pid", type=int, default=0)
    hold.add_argument("--name", default="python3")
    hold.add_argument("--memory", type=int, default=1024)
    hold.add_argument("--instance", type=int)
    hold.add_argument("--hidden", action="store_true")
    verb("release", _release).add_argument("--gpu", default="")
    change = verb("set", _set)
    change.add_argument("--gpu", required=True)
    change.add_argument("values", nargs="+")
    verb("install", _install).add_argument("--driver", required=True)
    verb("reload", _reload)
    verb("boot", _boot)
    verb("calls", _calls).add_argument("--clear", action="store_true")
    return parser
