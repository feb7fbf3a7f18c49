# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Debian hosts with systemd and SSH, in containers, for tests and for the demo.

python -m tools.hosts, in the root of the checkout, with one of these:

    images                                  make the images of all suites
    up --group demo web=trixie gpu=forky    start hosts; those of one group reach each other by name
    up --group demo --spec FILE             the same, with options per host (see below; - is standard input)
    inventory --group demo                  an Ansible inventory of the group
    snapshot --group demo web IMAGE         make an image of a host that runs, for other hosts to start from
    forget IMAGE                            remove such an image
    ps                                      what runs
    down --group demo                       remove the group's hosts, with their volumes and their network
    clean                                   remove all groups of this checkout, and stop-engine
    stop-engine                             stop the Docker engine, if it was started from here

A spec is a YAML or JSON list: name, suite, and where needed stock (true: as Debian ships it; tests mostly take a quick
host, see image.py), image (of a snapshot), groups (of the inventory), volumes
("/path" for a fresh one, or "/here:/there[:ro]"), tmpfs ("/path[:options]"), cap_drop, publish ({port in the host: port
on 127.0.0.1}), vars (of the inventory). What a group has is written in labels of its containers; nothing else remembers
it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml
from docker.errors import DockerException

from tools.hosts.docker_engine import Problem, answering, engine, stop
from tools.hosts.group import Group, Host, forget, groups, remove_cache
from tools.hosts.image import SUITES, ensure


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    try:
        print(options.run(options), end="")
    except Problem as problem:
        print(f"hosts: {problem}", file=sys.stderr)
        return 1
    except DockerException as problem:
        print(f"hosts: the Docker engine refused: {problem}", file=sys.stderr)
        return 1
    return 0


def _images(options: argparse.Namespace) -> str:
    made = ensure(engine(), ((suite, False) for suite in options.suite or SUITES))
    return "".join(f"{suite}: {image}\n" for (suite, _), image in sorted(made.items()))


def _up(options: argparse.Namespace) -> str:
    hosts = [
        Host(
            name=name,
            suite=suite,
            stock=options.stock,
            volumes=tuple(options.volume),
            tmpfs=tuple(options.tmpfs),
            cap_drop=tuple(options.cap_drop),
        )
        for name, _, suite in (word.partition("=") for word in options.hosts)
    ]
    if options.spec:
        text = sys.stdin.read() if options.spec == "-" else Path(options.spec).read_text()
        hosts += [Host.of(item) for item in yaml.safe_load(text)]
    if not hosts:
        raise Problem("no host is named; give NAME=SUITE or --spec")
    group = Group(engine(), options.group)
    lines = group.up(hosts)
    if options.inventory:
        options.inventory.write_text(_inventory_of(group))
    return "".join(f"{line}\n" for line in lines)


def _down(options: argparse.Namespace) -> str:
    client = engine()
    names = groups(client) if options.all else [options.group]
    if names == [None]:
        raise Problem("say which hosts go: --group NAME or --all")
    return "".join(f"{name}: removed {Group(client, name).down()} hosts\n" for name in names)


def _snapshot(options: argparse.Namespace) -> str:
    Group(engine(), options.group).snapshot(options.host, options.image)
    return f"{options.image}: {options.host} as it is now\n"


def _forget(options: argparse.Namespace) -> str:
    forget(engine(), options.image)
    return f"{options.image}: removed\n"


def _inventory(options: argparse.Namespace) -> str:
    return _inventory_of(Group(engine(), options.group))


def _inventory_of(group: Group) -> str:
    text: str = yaml.safe_dump(group.inventory(), sort_keys=False, width=200)
    return text


def _ps(_options: argparse.Namespace) -> str:
    client = engine()
    return "".join(f"{line}\n" for name in groups(client) for line in Group(client, name).describe())


def _clean(options: argparse.Namespace) -> str:
    client = answering()
    removed = ""
    if client:
        removed = "".join(f"{name}: removed {Group(client, name).down()} hosts\n" for name in groups(client))
        remove_cache(client)
    return removed + _stop_engine(options)


def _stop_engine(_options: argparse.Namespace) -> str:
    return f"{stop()}\n"


def _parser() -> argparse.ArgumentParser:
    summary, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="python -m tools.hosts",
        description=summary,
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    images = verbs.add_parser("images", help="make the images")
    images.add_argument("suite", nargs="*", help=f"of {', '.join(SUITES)}; all without one")
    images.set_defaults(run=_images)

    up = verbs.add_parser("up", help="start hosts")
    up.add_argument("hosts", nargs="*", metavar="NAME=SUITE")
    up.add_argument("--group", required=True, help="name of the group")
    up.add_argument("--inventory", type=Path, metavar="FILE", help="write the group's inventory there")
    up.add_argument("--spec", help="file with a list of hosts; - is standard input")
    up.add_argument(
        "--volume", action="append", default=[], help="fresh volume in each host named here, such as /var/lib/docker"
    )
    up.add_argument("--tmpfs", action="append", default=[], help="file system in memory, such as /small:size=10m")
    up.add_argument("--cap-drop", action="append", default=[], help="capability that the hosts do not get")
    up.add_argument("--stock", action="store_true", help="hosts as Debian ships them, not the quick ones of tests")
    up.set_defaults(run=_up)

    down = verbs.add_parser("down", help="remove hosts")
    down.add_argument("--group")
    down.add_argument("--all", action="store_true", help="all groups")
    down.set_defaults(run=_down)

    inventory = verbs.add_parser("inventory", help="print an Ansible inventory")
    inventory.add_argument("--group", required=True)
    inventory.set_defaults(run=_inventory)

    snapshot = verbs.add_parser("snapshot", help="make an image of a host that runs")
    snapshot.add_argument("host")
    snapshot.add_argument("image", help="name of the image")
    snapshot.add_argument("--group", required=True)
    snapshot.set_defaults(run=_snapshot)

    forgotten = verbs.add_parser("forget", help="remove an image of a host")
    forgotten.add_argument("image")
    forgotten.set_defaults(run=_forget)

    verbs.add_parser("ps", help="show what runs").set_defaults(run=_ps)
    verbs.add_parser("clean", help="remove all, and stop the engine").set_defaults(run=_clean)
    verbs.add_parser("stop-engine", help="stop the engine that was started here").set_defaults(run=_stop_engine)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
