# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""What a component asks for: the module's options as checked, frozen data."""

from __future__ import annotations

import dataclasses
import os.path
import re
import typing as t

from .._errors import HostError
from . import openpgp

Impact = t.Literal["restart", "reload", "none", "reboot"]
STATE_DIR = "/var/lib/mlops.hosts"

# Options of a requirement that not all kinds have.
_PORT, _PATH = ("port", "address", "units"), ("path", "type", "max_mode", "executable")
_OF_KIND = {
    **{"port": _PORT, "path": _PATH, "mount": ("path",), "empty": ("path",), "name": ("name",)},
    **{"disk": ("path", "min_bytes"), "textfile": ("path", "name")},
}
_REASONS = {"path": ("absent", "type", "max_mode", "executable"), "textfile": ("several", "denied", "written")}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
# One by a tag can be another image tomorrow.
_IMAGE = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}\Z")


@dataclasses.dataclass(frozen=True)
class Effect:
    """What a change asks of the running system. ``units`` None means all units of the component."""

    impact: Impact = "restart"
    units: tuple[str, ...] | None = None
    command: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class DesiredFile:
    """Exactly one of ``content`` and ``json_keys`` is not None. A change of ``reload_keys`` alone is a reload. ``kind``
    is the word that drift uses. With ``before_packages`` it is in place before the package manager works."""

    path: str
    content: bytes | None
    json_keys: t.Mapping[str, t.Any] | None = None
    json_only: t.Mapping[str, t.Sequence[str]] = dataclasses.field(default_factory=dict)
    reload_keys: tuple[str, ...] = ()
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    validate: tuple[str, ...] = ()
    validate_as: str | None = None
    validate_with: tuple[str, ...] = ()
    effect: Effect = Effect()
    secret: bool = False
    kind: str = "file"
    before_packages: bool = False


@dataclasses.dataclass(frozen=True)
class DesiredDirectory:
    """With ``purge``, what nobody owns in it goes, and ``effect`` is what that asks of the running system."""

    path: str
    owner: str
    group: str
    mode: int
    purge: bool = False
    effect: Effect = Effect()


@dataclasses.dataclass(frozen=True)
class DesiredLink:
    path: str
    target: str
    effect: Effect


@dataclasses.dataclass(frozen=True)
class DesiredPackage:
    name: str
    present: bool
    version: str | None
    hold: bool
    effect: Effect
    before_packages: bool = False
    owned: bool = True


@dataclasses.dataclass(frozen=True)
class DesiredUser:
    name: str
    home: str
    shell: str
    groups: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class DesiredImage:
    """A container image by its digest. It is pulled before anything changes, and never removed.

    ``needs_driver``: its programs run on NVIDIA's GPUs. ``mirror``: the address of a bundle that has it.
    """

    name: str
    engine: str
    needs_driver: bool = False
    mirror: str | None = None


@dataclasses.dataclass(frozen=True)
class DesiredUnit:
    name: str
    state: t.Literal["started", "stopped", "unmanaged"]
    enabled: bool
    keep_drop_ins: bool = False


@dataclasses.dataclass(frozen=True)
class Repository:
    name: str
    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    architectures: tuple[str, ...]
    key: str
    gpg_check: t.Literal["packages", "metadata"] = "packages"


@dataclasses.dataclass(frozen=True)
class Requirement:
    """A condition on the host, see the module's ``requires``. ``port`` is None except for that kind, which has no
    ``path``; ``name`` is empty except for that kind and for textfile. ``min_bytes`` is that of a disk."""

    kind: t.Literal["port", "path", "mount", "empty", "name", "disk", "textfile"]
    msg: str
    msg_for: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    otherwise: t.Literal["fail", "wait"] = "fail"
    ends_with: str | None = None
    port: int | None = None
    address: str = "0.0.0.0"
    units: tuple[str, ...] = ()
    path: str = ""
    type: t.Literal["file", "directory"] | None = None
    max_mode: int | None = None
    executable: bool = False
    name: str = ""
    min_bytes: int | None = None


@dataclasses.dataclass(frozen=True)
class Component:
    """``ready`` stays plain data: it is stored in the ledger and read back by another run."""

    name: str
    present: bool
    repositories: tuple[Repository, ...] = ()
    packages: tuple[DesiredPackage, ...] = ()
    users: tuple[DesiredUser, ...] = ()
    directories: tuple[DesiredDirectory, ...] = ()
    files: tuple[DesiredFile, ...] = ()
    links: tuple[DesiredLink, ...] = ()
    absent_paths: tuple[str, ...] = ()
    images: tuple[DesiredImage, ...] = ()
    units: tuple[DesiredUnit, ...] = ()
    requires: tuple[Requirement, ...] = ()
    ready: tuple[t.Mapping[str, t.Any], ...] = ()
    settle_s: int = 5


def parse(params: t.Mapping[str, t.Any]) -> Component:
    """Turn module options into a Component; raise HostError with one sentence for options that are invalid.

    With ``state: absent`` everything but the name is dropped: the ledger knows what there is to take away.
    """
    name = params["name"]
    if not _NAME.match(name):
        raise HostError(f"component name {name!r} may hold only letters, digits, '_', '-' and '.'")
    if params["state"] == "absent":
        return Component(name=name, present=False, settle_s=params["settle_s"])
    component = Component(
        name=name,
        present=True,
        repositories=tuple(_repository(item) for item in params["repositories"]),
        packages=tuple(_package(item) for item in params["packages"]),
        users=tuple(_user(item) for item in params["users"]),
        directories=tuple(_directory(item) for item in params["directories"]),
        files=tuple(_file(item) for item in params["files"]),
        links=tuple(_link(item) for item in params["links"]),
        absent_paths=tuple(_path(path) for path in params["absent_paths"]),
        images=tuple(_image(item) for item in params["images"]),
        units=tuple(_unit(item) for item in params["units"]),
        requires=tuple(_requirement(item) for item in params["requires"]),
        ready=tuple(_ready(item) for item in params["ready"]),
        settle_s=params["settle_s"],
    )
    _refuse_contradictions(component)
    return component


def _repository(item: t.Mapping[str, t.Any]) -> Repository:
    if not item.get("key"):
        raise HostError(f"repository {item['name']!r} has no signing key; give key_src or key")
    openpgp.require_fingerprint(item["key"], item["fingerprint"], f"repository {item['name']!r}")
    return Repository(
        item["name"],
        tuple(item["uris"]),
        tuple(item["suites"]),
        tuple(item["components"]),
        tuple(item["architectures"]),
        item["key"],
        item["gpg_check"],
    )


def _package(item: t.Mapping[str, t.Any]) -> DesiredPackage:
    present = item["state"] == "present"
    if not present and (item["version"] or item["hold"]):
        raise HostError(f"package {item['name']!r} is to be absent, so it cannot have a version or a hold")
    if item["hold"] and not item["owned"]:
        raise HostError(f"package {item['name']!r} is not the component's own, so it cannot have a hold")
    return DesiredPackage(
        item["name"],
        present,
        item["version"],
        item["hold"],
        Effect(item["on_change"]),
        item["before_packages"],
        item["owned"],
    )


def _user(item: t.Mapping[str, t.Any]) -> DesiredUser:
    return DesiredUser(item["name"], item["home"], item["shell"], tuple(item["groups"]))


def _directory(item: t.Mapping[str, t.Any]) -> DesiredDirectory:
    return DesiredDirectory(
        _path(item["path"]), item["owner"], item["group"], _mode(item), item["purge"], _effect(item)
    )


def _unit(item: t.Mapping[str, t.Any]) -> DesiredUnit:
    return DesiredUnit(item["name"], item["state"], item["enabled"], item["drop_ins"] == "keep")


def _image(item: t.Mapping[str, t.Any]) -> DesiredImage:
    if not _IMAGE.match(item["name"]):
        raise HostError(f"image {item['name']!r} has no digest; name it as registry/name@sha256:...")
    return DesiredImage(item["name"], item["engine"], item["needs_driver"], item.get("mirror"))


def _file(item: t.Mapping[str, t.Any]) -> DesiredFile:
    path = _path(item["path"])
    content, json_keys = item["content"], item["json_keys"]
    if (content is None) == (json_keys is None):
        raise HostError(f"file {path} needs exactly one of content, template, src and json_keys")
    if item["reload_keys"] and json_keys is None:
        raise HostError(f"file {path} has reload_keys, which are for files with json_keys")
    if item["before_packages"] and (item["apply_command"] or item["on_change"] != "none"):
        raise HostError(f"file {path} is before_packages, so it must have on_change: none and no apply_command")
    return DesiredFile(
        path=path,
        content=None if content is None else content.encode("utf-8", "surrogateescape"),
        json_keys=json_keys,
        json_only=item["json_only"],
        reload_keys=tuple(item["reload_keys"]),
        owner=item["owner"],
        group=item["group"],
        mode=_mode(item),
        validate=tuple(item["validate"]),
        validate_as=item["validate_as"],
        validate_with=tuple(item["validate_with"]),
        effect=_effect(item, tuple(item["apply_command"])),
        secret=item["secret"],
        before_packages=item["before_packages"],
    )


def _link(item: t.Mapping[str, t.Any]) -> DesiredLink:
    return DesiredLink(_path(item["path"]), item["target"], _effect(item))


def _ready(item: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    given = [kind for kind in ("tcp", "http", "command", "inference") if item.get(kind)]
    if len(given) > 1:
        raise HostError(f"a ready condition is one of tcp, http, command and inference, not {' and '.join(given)}")
    if not given and not item["unit"]:
        raise HostError("a ready condition needs a unit, or one of tcp, http, command and inference")
    if (item.get("inference") or {}).get("models_file") and not item["unit"]:
        raise HostError("a ready condition with models_file needs the unit that is given the models")
    return {key: value for key, value in item.items() if value is not None}


def _requirement(item: t.Mapping[str, t.Any]) -> Requirement:
    kind = item["kind"]
    # Of disks and text files all options are needed.
    for needed in _OF_KIND[kind] if kind in ("disk", "textfile") else (kind if kind in ("port", "name") else "path",):
        if item[needed] in (None, ""):
            raise HostError(f"a requirement of kind {kind} needs a {needed}")
    for name in (*_PORT, *_PATH, "name", "min_bytes"):
        if item[name] and name not in _OF_KIND[kind]:
            raise HostError(f"a requirement of kind {kind} has no {name}")
    unknown = sorted(set(item["msg_for"]) - set(_REASONS.get(kind, ())))
    if unknown and kind != "port":
        raise HostError(f"a requirement of kind {kind} has no msg_for {', '.join(unknown)}")
    if (item["otherwise"] == "wait") != (item["ends_with"] is not None):
        raise HostError(f"a requirement of kind {kind} must have ends_with with otherwise: wait, and only then")
    return Requirement(
        kind=kind,
        msg=item["msg"],
        msg_for=item["msg_for"],
        otherwise=item["otherwise"],
        ends_with=item["ends_with"],
        port=_port(item["port"]),
        address=item["address"] or "0.0.0.0",
        units=tuple(item["units"]),
        path=_required_path(item["path"]),
        type=item["type"],
        max_mode=None if item["max_mode"] is None else _mode(item, "max_mode"),
        executable=item["executable"],
        name=item["name"] or "",
        min_bytes=item["min_bytes"],
    )


def _port(port: int | None) -> int | None:
    if port is not None and not 0 < port < 65536:
        raise HostError(f"a required port must be 1 to 65535, not {port}")
    return port


def _required_path(path: str | None) -> str:
    """It is read only, so it may be any."""
    if path is not None and not path.startswith("/"):
        raise HostError(f"path {path!r} must be absolute")
    return path or ""


def _effect(item: t.Mapping[str, t.Any], command: tuple[str, ...] = ()) -> Effect:
    units = item["units"]
    return Effect(item["on_change"], None if units is None else tuple(units), command)


def _path(path: str) -> str:
    if not path.startswith("/") or os.path.normpath(path) != path:
        raise HostError(f"path {path!r} must be absolute and in its shortest form")
    if path == STATE_DIR or path.startswith(STATE_DIR + "/"):
        raise HostError(f"path {path} lies in {STATE_DIR}, where the collection keeps its own state")
    return path


def _mode(item: t.Mapping[str, t.Any], option: str = "mode") -> int:
    if not re.fullmatch(r"[0-7]{3,4}", item[option]):
        raise HostError(f"{option} {item[option]!r} of {item['path']} must be three or four octal digits in quotes")
    return int(item[option], 8)


def _refuse_contradictions(component: Component) -> None:
    paths = [
        *(item.path for item in component.directories),
        *(item.path for item in component.files),
        *(item.path for item in component.links),
        *component.absent_paths,
    ]
    named = [
        ("path", paths),
        ("package", [item.name for item in component.packages]),
        ("user", [item.name for item in component.users]),
        ("unit", [item.name for item in component.units]),
        ("repository", [item.name for item in component.repositories]),
    ]
    for kind, names in named:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise HostError(f"component {component.name!r} lists {kind} {', '.join(twice)} twice")
    files = {item.path for item in component.files}
    for file in component.files:
        unknown = sorted(set(file.validate_with) - files)
        if unknown:
            raise HostError(
                f"validate_with of {file.path} names {', '.join(unknown)}, which is no file of "
                f"component {component.name!r}"
            )
    units = {unit.name for unit in component.units}
    effects = [(item.path, item.effect) for item in component.directories]
    effects += [(item.path, item.effect) for item in component.files]
    effects += [(item.path, item.effect) for item in component.links]
    for path, effect in effects:
        for unit in effect.units or ():
            if unit not in units:
                raise HostError(f"{path} names unit {unit}, which component {component.name!r} does not have")
    for condition in component.ready:
        if condition.get("unit") and condition["unit"] not in units:
            raise HostError(
                f"a ready condition names unit {condition['unit']}, which component {component.name!r} does not have"
            )
