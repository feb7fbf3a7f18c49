# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual Debian hosts under QEMU, for what a container has not: kernels, modules, initramfs, boot loader, reboot.

python -m tools.vm, in the root of the checkout, with one of these:

    up NAME               start one: two kernels with their headers, GRUB, nothing else than a test host has
    inventory NAME        an Ansible inventory of it
    ssh NAME [COMMAND]    log in, or run a command
    console NAME          what its console said
    ps                    what runs
    down NAME             remove it; --all removes all

Its processor is emulated, so that it runs where there is no KVM: it boots in a minute, and everything takes about ten
times as long. The first one of a checkout takes some minutes; each starts as that one was when it had booted.
"""

from __future__ import annotations

import argparse
import os
import sys

import yaml
from docker.errors import DockerException

from tools.hosts.docker_engine import Problem
from tools.vm.guest import SUITE, Guest, guests


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    try:
        print(options.run(options), end="")
    except Problem as problem:
        print(f"vm: {problem}", file=sys.stderr)
        return 1
    except DockerException as problem:
        print(f"vm: the Docker engine refused: {problem}", file=sys.stderr)
        return 1
    return 0


def _up(options: argparse.Namespace) -> str:
    return f"{Guest(options.name).up()}\n"


def _down(options: argparse.Namespace) -> str:
    if not options.all and not options.name:
        raise Problem("say which host goes: NAME or --all")
    going = guests() if options.all else [Guest(options.name)]
    return "".join(f"{guest.name}: {'removed' if guest.down() else 'was not there'}\n" for guest in going)


def _inventory(options: argparse.Namespace) -> str:
    text: str = yaml.safe_dump(_running(options.name).inventory(), sort_keys=False, width=200)
    return text


def _ssh(options: argparse.Namespace) -> str:
    argv = [*_running(options.name).ssh(), *options.command]
    os.execvp(argv[0], argv)


def _console(options: argparse.Namespace) -> str:
    try:
        return Guest(options.name).console.read_text(errors="replace")
    except FileNotFoundError:
        raise Problem(f"no virtual host {options.name}; start it: python -m tools.vm up {options.name}") from None


def _ps(_options: argparse.Namespace) -> str:
    return "".join(
        f"{g.name} ({SUITE}) {'running' if g.runs() else 'stopped'}, {' '.join(g.ssh())}\n" for g in guests()
    )


def _running(name: str) -> Guest:
    guest = Guest(name)
    if not guest.runs():
        raise Problem(f"no virtual host {name} runs; start it: python -m tools.vm up {name}")
    return guest


def _parser() -> argparse.ArgumentParser:
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m tools.vm",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for name, run, text in (
        ("up", _up, "start one"),
        ("inventory", _inventory, "print an Ansible inventory of it"),
        ("console", _console, "print what its console said"),
        ("ssh", _ssh, "log in"),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("name", metavar="NAME")
        verb.set_defaults(run=run)
        if name == "ssh":
            verb.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    down = verbs.add_parser("down", help="remove it")
    down.add_argument("name", nargs="?", metavar="NAME")
    down.add_argument("--all", action="store_true")
    down.set_defaults(run=_down)
    verbs.add_parser("ps", help="show what runs").set_defaults(run=_ps)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
