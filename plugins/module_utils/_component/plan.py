# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""The plan: from what is wanted, owned and observed to what will change. Pure; check mode is this, printed."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from .._errors import HostError
from . import claims, json_keys, packages
from .journal import Journal
from .node import ABSENT, Node, group_name, owner_name
from .observe import Observed
from .packages import Work
from .store import Ledger
from .units import is_unit_file
from .wanted import Component, Effect, WantedDirectory, WantedFile, WantedPackage, WantedUser

NOTHING = Effect("none")


@dataclasses.dataclass(frozen=True)
class Drift:
    """One difference between what is wanted and what is there; see the module's ``drift``."""

    kind: str
    item: str
    attribute: str
    want: t.Any
    have: t.Any


@dataclasses.dataclass(frozen=True)
class PathChange:
    """One path goes from ``before`` to ``after``. ``owner`` and ``group`` are names; they are resolved when applied,
    since the same transaction may create them."""

    path: str
    before: Node
    after: Node
    owner: str
    group: str
    effect: Effect = NOTHING
    validate: tuple[str, ...] = ()
    validate_as: str | None = None
    secret: bool = False


@dataclasses.dataclass(frozen=True)
class UserChange:
    wanted: WantedUser
    create: bool
    add_groups: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class UnitChanges:
    """Names of units, by what is done to them, in this order."""

    stop: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()
    reread: bool = False
    unmask: tuple[str, ...] = ()
    enable: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()

    @property
    def begun(self) -> tuple[str, ...]:
        """Units that must be up afterwards."""
        return (*self.start, *self.restart, *self.reload)

    @property
    def any(self) -> bool:
        return self != UnitChanges()


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that a transaction does. ``ledger`` is what the component owns when it is committed."""

    drift: tuple[Drift, ...]
    repositories: tuple[PathChange, ...]
    work: tuple[Work, ...]
    packages_changed: tuple[str, ...]
    holds: tuple[tuple[str, bool], ...]
    users: tuple[UserChange, ...]
    paths: tuple[PathChange, ...]
    units: UnitChanges
    removals: tuple[str, ...]
    users_gone: tuple[dict[str, t.Any], ...]
    directories_gone: tuple[str, ...]
    ledger: Ledger
    ready: tuple[t.Mapping[str, t.Any], ...]
    reboot_required: bool

    @property
    def empty(self) -> bool:
        return not self.drift and not self.units.any


def make(
    component: Component, owned: Ledger, others: t.Sequence[Ledger], seen: Observed, journal: Journal | None
) -> Plan:
    """Plan a component. ``journal`` is that of this very transaction when the package manager has been at work: what it
    says was there before counts, not what is there now."""
    builder = _Builder(component, owned, others, seen, journal)
    return builder.build()


class _Builder:
    def __init__(
        self,
        component: Component,
        owned: Ledger,
        others: t.Sequence[Ledger],
        seen: Observed,
        journal: Journal | None,
    ) -> None:
        self.component, self.owned, self.others, self.seen, self.journal = component, owned, others, seen, journal
        self.drift: list[Drift] = []
        self.paths: list[PathChange] = []
        self.path_claims: dict[str, dict[str, t.Any]] = {}

    def build(self) -> Plan:
        repositories = self._repositories()
        work, removals, package_claims, holds = self._packages(refresh=bool(repositories))
        users, user_claims, users_gone = self._users(pending=bool(work))
        for directory in self.component.directories:
            self._directory(directory)
        for file in self.component.files:
            if file.json_keys is None:
                self._file(file)
            else:
                self._json(file, file.json_keys)
        for link in self.component.links:
            self._swap(link.path, "link", Node("link", target=link.target), "root", "root", NOTHING, link.effect)
        for path in self.component.absent_paths:
            self._absent(path)
        directories_gone = self._release_paths()
        changed_packages = tuple(self._changed_packages(work))
        units, unit_claims = self._units([*repositories, *self.paths], changed_packages)
        ledger = Ledger(
            component=self.component.name,
            paths=self.path_claims,
            packages=package_claims,
            users=user_claims,
            units=unit_claims,
            ready=[dict(condition) for condition in self.component.ready],
            settle_s=self.component.settle_s,
        )
        effects = [change.effect for change in self.paths] + self._package_effects(changed_packages)
        return Plan(
            drift=tuple(self.drift),
            repositories=tuple(repositories),
            work=work,
            packages_changed=changed_packages,
            holds=tuple(holds),
            users=tuple(users),
            paths=tuple(self.paths),
            units=units,
            removals=tuple(removals),
            users_gone=tuple(users_gone),
            directories_gone=tuple(directories_gone),
            ledger=ledger,
            ready=tuple(
                condition
                for condition in self.component.ready
                if condition.get("unit") is None or condition["unit"] in units.begun
            ),
            reboot_required=any(effect.impact == "reboot" for effect in effects),
        )

    # Paths

    def _repositories(self) -> list[PathChange]:
        for file in self.seen.repository_files:
            self._file(file)
        changes, self.paths = self.paths, []
        return changes

    def _file(self, file: WantedFile) -> None:
        after = Node("file", mode=file.mode, content=file.content)
        self._swap(file.path, "file", after, file.owner, file.group, NOTHING, file.effect, file)

    def _directory(self, directory: WantedDirectory) -> None:
        have = self.seen.nodes[directory.path]
        if have.kind not in ("absent", "directory"):
            raise HostError(f"{directory.path} must be a directory, but there is a {have.kind}; move it away first")
        after = Node("directory", mode=directory.mode)
        self._swap(directory.path, "directory", after, directory.owner, directory.group, NOTHING, NOTHING)

    def _absent(self, path: str) -> None:
        have = self._not_a_directory(path)
        self._claim(path, "absent", have)
        if have.kind != "absent":
            self.drift.append(Drift("path", path, "state", None, "present"))
            self.paths.append(PathChange(path, have, ABSENT, "root", "root"))

    def _json(self, file: WantedFile, wanted: t.Mapping[str, t.Any]) -> None:
        have = self._not_a_directory(file.path)
        if have.kind == "link":
            raise HostError(f"{file.path} is a link; name the file that it points to instead")
        claim = self.owned.paths.get(file.path)
        claims.refuse_foreign(self.component.name, file.path, "json", self.others, json_keys.pointers(wanted))
        text = _text(have.content, file.path)
        merged = json_keys.merge(text, wanted, claim["keys"] if claim else {}, file.path)
        content = merged.text.encode()
        self._claim(file.path, "json", have, effect=file.effect, keys=merged.claims, wrote=_sha256(content))
        self._key_drift(file.path, merged.drift, secret=file.secret)
        if have.kind == "absent":
            after, owner, group = Node("file", mode=file.mode, content=content), file.owner, file.group
        else:
            after = dataclasses.replace(have, content=content)
            owner, group = owner_name(have.uid), group_name(have.gid)
        if content != have.content:
            self.paths.append(
                PathChange(
                    file.path,
                    have,
                    after,
                    owner,
                    group,
                    file.effect,
                    file.validate,
                    file.validate_as,
                    file.secret,
                )
            )

    def _swap(
        self,
        path: str,
        kind: claims.PathKind,
        after: Node,
        owner: str,
        group: str,
        metadata_effect: Effect,
        effect: Effect,
        file: WantedFile | None = None,
    ) -> None:
        """Plan one path to become ``after``. A change of owner or mode alone has only ``metadata_effect``."""
        have = self.seen.nodes[path] if kind == "directory" else self._not_a_directory(path)
        self._claim(path, kind, have, effect=effect)
        secret = file is not None and file.secret
        found = _differences(file.kind if file else kind, path, after, have, owner, group, secret=secret)
        if not found:
            return
        self.drift.extend(found)
        same_content = (after.kind, after.content, after.target) == (have.kind, have.content, have.target)
        self.paths.append(
            PathChange(
                path,
                have,
                after,
                owner,
                group,
                metadata_effect if same_content else effect,
                file.validate if file and not same_content else (),
                file.validate_as if file else None,
                secret,
            )
        )

    def _not_a_directory(self, path: str) -> Node:
        have = self.seen.nodes[path]
        if have.kind in ("directory", "other"):
            what = "a directory" if have.kind == "directory" else "neither a file nor a link"
            raise HostError(f"{path} is {what}; move it away first")
        return have

    def _claim(self, path: str, kind: claims.PathKind, have: Node, **more: t.Any) -> None:
        if kind != "json":
            claims.refuse_foreign(self.component.name, path, kind, self.others)
        inherited = claims.inherited_original(path, self.others) if kind in ("directory", "json") else None
        owned = self.owned.paths.get(path)
        original = owned["original"] if owned else inherited or self._was(path) or have
        self.path_claims[path] = claims.path_claim(
            kind, original, more.get("effect", NOTHING), more.get("keys"), more.get("wrote")
        )

    def _was(self, path: str) -> t.Mapping[str, t.Any] | None:
        """The packed node from before this transaction, when an earlier call of it has already changed the path."""
        entries = self.journal.paths if self.journal else ()
        return next((entry["before"] for entry in entries if entry["path"] == path), None)

    def _release_paths(self) -> list[str]:
        """Give back the paths that are owned but no longer wanted. Returns directories that go if they are empty."""
        gone: list[str] = []
        for path, claim in self.owned.paths.items():
            if path in self.path_claims:
                continue
            have, original = self.seen.nodes[path], self.seen.originals[path]
            if claim["kind"] == "directory":
                if original.kind == "absent" and have.kind == "directory":
                    gone.append(path)
                continue
            if have.kind in ("directory", "other"):
                continue  # somebody made something else of it: theirs now
            if claim["kind"] == "json":
                original = self._release_json(path, claim, have, original)
            elif original != have:
                want = None if original.kind == "absent" else "as before"
                have_word = None if have.kind == "absent" else "present"
                self.drift.append(Drift(_RELEASED_KIND[claim["kind"]], path, "state", want, have_word))
            if original != have:
                effect = claims.effect_of(claim)
                self.paths.append(
                    PathChange(path, have, original, str(original.uid), str(original.gid), effect, secret=True)
                )
        removed = {change.path for change in self.paths if change.after.kind == "absent"}
        going: list[str] = []
        for path in sorted(gone, reverse=True):
            if not claims.claimed(path, self.others) and removed.issuperset(self.seen.entries[path]):
                removed.add(path)
                going.append(path)
                self.drift.append(Drift("directory", path, "state", None, "present"))
        return going

    def _release_json(self, path: str, claim: t.Mapping[str, t.Any], have: Node, original: Node) -> Node:
        if have.kind != "file":
            return have
        merged = json_keys.merge(_text(have.content, path), {}, claim["keys"], path)
        self._key_drift(path, merged.drift)
        if claim["wrote"] == _sha256(have.content or b"") and not claims.claimed(path, self.others):
            return original
        if original.kind == "absent" and merged.text.strip() == "{}" and not claims.claimed(path, self.others):
            return ABSENT
        return dataclasses.replace(have, content=merged.text.encode())

    def _key_drift(self, path: str, found: t.Iterable[json_keys.KeyDrift], *, secret: bool = False) -> None:
        for item in found:
            want, have = ("secret", "secret") if secret else (item.want, item.have)
            self.drift.append(Drift("json_key", f"{path}#{item.pointer}", "value", want, have))

    # Packages

    def _packages(
        self, *, refresh: bool
    ) -> tuple[tuple[Work, ...], list[str], dict[str, dict[str, t.Any]], list[tuple[str, bool]]]:
        manager = self.seen.manager
        taken: dict[str, dict[str, t.Any]] = {}
        holds: list[tuple[str, bool]] = []
        install: list[str] = []
        remove: list[str] = []
        for wanted in self.component.packages:
            have = self.seen.packages[wanted.name]
            taken[wanted.name] = {"original": self._package_original(wanted.name, have), "held": wanted.hold}
            if not packages.matches(wanted, have):
                (install if wanted.present else remove).append(
                    packages.install_name(wanted, t.cast(t.Any, manager)) if wanted.present else wanted.name
                )
                self.drift.append(_package_drift(wanted, have))
            had_hold = bool(self.owned.packages.get(wanted.name, {}).get("held"))
            if wanted.hold != have.held and (wanted.hold or had_hold):
                holds.append((wanted.name, wanted.hold))
                self.drift.append(Drift("package", wanted.name, "hold", wanted.hold, have.held))
        removals: list[str] = []
        for name, claim in self.owned.packages.items():
            if name in taken or claims.inherited_package(name, self.others):
                continue
            have = self.seen.packages[name]
            if claim["held"] and have.held:
                holds.append((name, False))
                self.drift.append(Drift("package", name, "hold", False, True))
            if claim["original"] is None and have.version is not None:
                removals.append(name)
                self.drift.append(Drift("package", name, "state", None, have.version))
            elif claim["original"] is not None and have.version is None:
                install.append(name)
                self.drift.append(Drift("package", name, "state", claim["original"], None))
        work = []
        if remove:
            work.append(Work("absent", tuple(remove)))
        if install:
            work.append(Work("present", tuple(install), refresh=refresh))
        return tuple(work), removals, taken, holds

    def _package_original(self, name: str, have: packages.Installed) -> str | None:
        claim = self.owned.packages.get(name) or claims.inherited_package(name, self.others)
        if claim:
            return t.cast("str | None", claim["original"])
        if self.journal and name in self.journal.packages_before:
            return t.cast("str | None", self.journal.packages_before[name]["version"])
        return have.version

    def _changed_packages(self, work: tuple[Work, ...]) -> list[str]:
        pending = {name for part in work for name in part.names}
        manager = t.cast(t.Any, self.seen.manager)
        earlier = set(self.journal.packages_changed) if self.journal else set()
        return [
            wanted.name
            for wanted in self.component.packages
            if wanted.name in earlier
            or wanted.name in pending
            or (wanted.present and packages.install_name(wanted, manager) in pending)
        ]

    def _package_effects(self, changed: t.Sequence[str]) -> list[Effect]:
        return [wanted.effect for wanted in self.component.packages if wanted.name in changed]

    # Users

    def _users(self, *, pending: bool) -> tuple[list[UserChange], dict[str, dict[str, t.Any]], list[dict[str, t.Any]]]:
        changes: list[UserChange] = []
        taken: dict[str, dict[str, t.Any]] = {}
        for wanted in self.component.users:
            have = self.seen.users[wanted.name]
            missing = self.seen.missing_groups.get(wanted.name, ())
            if missing and not pending:
                raise HostError(f"user {wanted.name} is to be in group {', '.join(missing)}, which does not exist")
            joined = have.groups if have else frozenset()
            add = tuple(group for group in wanted.groups if group not in joined)
            claim = self.owned.users.get(wanted.name) or claims.inherited_user(wanted.name, self.others)
            created = claim["created"] if claim else have is None
            ours = set(claim["groups"] if claim else ()) | set(add)
            taken[wanted.name] = {"created": created, "groups": sorted(ours & set(wanted.groups))}
            differs = have is not None and (have.home, have.shell) != (wanted.home, wanted.shell)
            if have is None:
                self.drift.append(Drift("user", wanted.name, "state", "present", None))
            elif differs:
                self.drift.append(Drift("user", wanted.name, "home", wanted.home, have.home))
                self.drift.append(Drift("user", wanted.name, "shell", wanted.shell, have.shell))
            if add:
                self.drift.append(Drift("user", wanted.name, "groups", list(wanted.groups), sorted(joined)))
            if have is None or differs or add:
                changes.append(UserChange(wanted, have is None, add))
        gone = []
        for name, claim in self.owned.users.items():
            if name in taken or claims.inherited_user(name, self.others) or self.seen.users[name] is None:
                continue
            if claim["created"]:
                self.drift.append(Drift("user", name, "state", None, "present"))
            if claim["created"] or claim["groups"]:
                gone.append({"name": name, "created": claim["created"], "groups": claim["groups"]})
        return changes, taken, gone

    # Units

    def _units(
        self, changes: t.Sequence[PathChange], changed_packages: t.Sequence[str]
    ) -> tuple[UnitChanges, dict[str, dict[str, t.Any]]]:
        everyone = [unit.name for unit in self.component.units] or list(self.owned.units)
        effects = [change.effect for change in changes] + self._package_effects(changed_packages)
        affected: dict[str, set[str]] = {"restart": set(), "reload": set()}
        for effect in effects:
            if effect.impact in affected:
                affected[effect.impact].update(everyone if effect.units is None else effect.units)
        reread = any(is_unit_file(change.path) for change in changes)
        stop, disable, unmask, enable, start, restart, reload = ([] for _ in range(7))  # type: ignore[var-annotated]
        taken: dict[str, dict[str, t.Any]] = {}
        for wanted in self.component.units:
            have = self.seen.units[wanted.name]
            before = self.owned.units.get(wanted.name) or claims.inherited_unit(wanted.name, self.others)
            before = before or (self.journal.units_before.get(wanted.name) if self.journal else None)
            before = before or {"enabled": have.starts_at_boot, "active": have.running}
            taken[wanted.name] = {"enabled": before["enabled"], "active": before["active"]}
            if have.masked and (wanted.enabled or wanted.state == "started"):
                unmask.append(wanted.name)
                self.drift.append(Drift("unit", wanted.name, "masked", False, True))
            if wanted.enabled != have.starts_at_boot and not (
                have.file_state == "static" or (not wanted.enabled and not have.file_state.startswith("enabled"))
            ):
                (enable if wanted.enabled else disable).append(wanted.name)
                self.drift.append(Drift("unit", wanted.name, "enabled", wanted.enabled, have.starts_at_boot))
            if have.stale and not reread:
                reread = True
                self.drift.append(Drift("unit", wanted.name, "definition", "as on disk", "older than on disk"))
            if wanted.state == "started":
                if not have.running:
                    start.append(wanted.name)
                    self.drift.append(Drift("unit", wanted.name, "state", "started", _unit_word(have)))
                elif wanted.name in affected["restart"]:
                    restart.append(wanted.name)
                elif wanted.name in affected["reload"]:
                    reload.append(wanted.name)
            elif wanted.state == "stopped" and (have.running or have.dead) and have.active_state != "failed":
                stop.append(wanted.name)
                self.drift.append(Drift("unit", wanted.name, "state", "stopped", _unit_word(have)))
        for name, before in self.owned.units.items():
            if name in taken or claims.inherited_unit(name, self.others):
                continue
            have = self.seen.units[name]
            if not have.exists:
                continue
            vanishes = any(
                change.after.kind == "absent" and is_unit_file(change.path) and change.path.endswith("/" + name)
                for change in changes
            )
            if have.file_state.startswith("enabled") and not before["enabled"]:
                disable.append(name)
                self.drift.append(Drift("unit", name, "enabled", False, True))
            if (have.running or have.dead) and (vanishes or not before["active"]):
                stop.append(name)
                self.drift.append(Drift("unit", name, "state", "stopped", _unit_word(have)))
            elif before["enabled"] and not have.starts_at_boot:
                enable.append(name)
                self.drift.append(Drift("unit", name, "enabled", True, False))
            if before["active"] and not vanishes:
                if not have.running:
                    start.append(name)
                    self.drift.append(Drift("unit", name, "state", "started", _unit_word(have)))
                elif name in affected["restart"] | affected["reload"]:
                    restart.append(name)
        return (
            UnitChanges(
                tuple(stop),
                tuple(disable),
                reread,
                tuple(unmask),
                tuple(enable),
                tuple(start),
                tuple(restart),
                tuple(reload),
            ),
            taken,
        )


_RELEASED_KIND = {"file": "file", "link": "link", "absent": "path"}


def _differences(kind: str, path: str, after: Node, have: Node, owner: str, group: str, *, secret: bool) -> list[Drift]:
    if have.kind == "absent":
        return [Drift(kind, path, "state", "present", None)]
    found = []
    if have.kind != after.kind:
        return [Drift(kind, path, "state", after.kind, have.kind)]
    if after.kind == "link":
        return [] if after.target == have.target else [Drift(kind, path, "target", after.target, have.target)]
    if after.content != have.content:
        want, is_now = ("secret", "secret") if secret else (_summary(after.content), _summary(have.content))
        found.append(Drift(kind, path, "content", want, is_now))
    if after.mode != have.mode:
        found.append(Drift(kind, path, "mode", f"{after.mode:04o}", f"{have.mode:04o}"))
    for attribute, want, is_now in (
        ("owner", owner, _name(owner, have.uid, owner_name)),
        ("group", group, _name(group, have.gid, group_name)),
    ):
        if want != is_now:
            found.append(Drift(kind, path, attribute, want, is_now))
    return found


def _name(wanted: str, number: int, look_up: t.Callable[[int], str]) -> str:
    return str(number) if wanted.isdigit() else look_up(number)


def _package_drift(wanted: WantedPackage, have: packages.Installed) -> Drift:
    if not have.whole:
        return Drift("package", wanted.name, "state", "installed", "half installed")
    if not wanted.present:
        return Drift("package", wanted.name, "state", None, have.version)
    return Drift("package", wanted.name, "version", wanted.version or "any", have.version)


def _unit_word(unit: t.Any) -> str | None:
    return f"{unit.active_state} ({unit.sub_state})" if unit.exists else None


def _text(content: bytes | None, path: str) -> str:
    try:
        return (content or b"").decode()
    except UnicodeDecodeError as exc:
        raise HostError(f"{path} is not UTF-8 text, so it is not JSON; it was left untouched") from exc


def _summary(content: bytes | None) -> str:
    return f"sha256:{_sha256(content or b'')[:12]}"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
