# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the mlops.hosts collection: it can change in any release.
"""Plans files, links, directories and keys in shared files: from a desired and an owned state to path changes."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from .._drift import Drift
from .._errors import HostError
from . import json_keys, ownership
from .changes import NOTHING, PathChange, Situation
from .desired import DesiredDirectory, DesiredFile, Effect
from .fs_entry import ABSENT, Entry, group_name, owner_name

_RELEASED_KIND = {"file": "file", "repository": "repository", "link": "link", "absent": "path"}
_INHERITED = ("directory", "repository", "json")


@dataclasses.dataclass(frozen=True)
class PathPart:
    """``before_packages`` are swapped in before the package manager works, ``changes`` after it. ``revalidated`` stay
    as they are, and name files that change. ``gone`` are directories to remove after the commit, ``records`` what the
    ledger will say."""

    drift: tuple[Drift, ...]
    before_packages: tuple[PathChange, ...]
    changes: tuple[PathChange, ...]
    revalidated: tuple[PathChange, ...]
    gone: tuple[str, ...]
    records: dict[str, dict[str, t.Any]]
    notes: tuple[str, ...] = ()


def plan(situation: Situation) -> PathPart:
    return _Planner(situation).plan()


class _Planner:
    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.component, self.owned, self.others = situation.component, situation.owned, situation.others
        self.seen, self.journal = situation.seen, situation.journal
        self.drift: list[Drift] = []
        self.notes: list[str] = []
        self.paths: list[PathChange] = []
        self.path_records: dict[str, dict[str, t.Any]] = {}

    def plan(self) -> PathPart:
        for file in (*self.seen.repository_files, *(file for file in self.component.files if file.before_packages)):
            self._file(file)
        first, self.paths = tuple(self.paths), []
        for directory in self.component.directories:
            self._directory(directory)
        for file in self.component.files:
            if not file.before_packages:
                self._file(file)
        for link in self.component.links:
            self._swap(link.path, "link", Entry("link", target=link.target), "root", "root", NOTHING, link.effect)
        for path in self.component.absent_paths:
            self._absent(path)
        for directory in self.component.directories:
            if directory.purge:
                self._purge(directory)
        for unit in self.component.units:
            if not unit.keep_drop_ins:
                self._refuse_drop_ins(unit.name)
        gone = self._release_paths()
        # The package manager reads these, and a repository that was renamed would conflict with itself.
        read_by_manager = [
            path
            for path, record in self.owned.paths.items()
            if record.get("before_packages") or record["kind"] == "repository"
        ]
        leaving = set(read_by_manager) - self.path_records.keys()
        first += tuple(change for change in self.paths if change.path in leaving)
        changes = tuple(change for change in self.paths if change.path not in leaving)
        return PathPart(
            tuple(self.drift), first, changes, self._revalidated(), tuple(gone), self.path_records, tuple(self.notes)
        )

    def _file(self, file: DesiredFile) -> None:
        if file.json_keys is not None:
            self._json(file, file.json_keys)
            return
        after = Entry("file", mode=file.mode, content=file.content)
        if file.kind == "repository":
            wrote = _sha256(file.content or b"")
            ownership.refuse_unlike(self.component.name, file.path, wrote, self.owned.paths.get(file.path), self.others)
            self._swap(file.path, "repository", after, file.owner, file.group, NOTHING, file.effect, file, wrote)
        else:
            self._swap(file.path, "file", after, file.owner, file.group, NOTHING, file.effect, file)

    def _revalidated(self) -> tuple[PathChange, ...]:
        validated = {change.path for change in self.paths if change.validate}
        new = {change.path for change in self.paths if change.before.content != change.after.content}
        found = []
        for file in self.component.files:
            if file.validate and file.path not in validated and not new.isdisjoint(file.validate_with):
                have = self.seen.entries[file.path]
                found.append(_change(file.path, have, have, file.owner, file.group, NOTHING, file))
        return tuple(found)

    def _directory(self, directory: DesiredDirectory) -> None:
        have = self.seen.entries[directory.path]
        if have.kind not in ("absent", "directory"):
            raise HostError(f"{directory.path} must be a directory, but there is a {have.kind}; move it away first")
        after = Entry("directory", mode=directory.mode)
        self._swap(directory.path, "directory", after, directory.owner, directory.group, NOTHING, NOTHING)

    def _absent(self, path: str) -> None:
        have = self._not_a_directory(path)
        self._record(path, "absent", have)
        if have.kind != "absent":
            self.drift.append(Drift("path", path, "state", None, "present"))
            self.paths.append(PathChange(path, have, ABSENT, "root", "root"))

    def _purge(self, directory: DesiredDirectory) -> None:
        """Take away what nobody owns. What was there before stays recorded: it comes back when the component goes."""
        first = not self.owned.paths.get(directory.path, {}).get("purged")
        self.path_records[directory.path]["purged"] = True
        before = {path for path, record in self.owned.paths.items() if record.get("purged_by") == directory.path}
        found = self.seen.strays[directory.path]
        staying = {path for path in found if path in self.path_records or ownership.has_owner(path, self.others)}
        for path in sorted({*before, *found} - staying, reverse=True):  # what is in a directory before the directory
            have = self.seen.entries[path]
            if have.kind == "other" or any(kept.startswith(path + "/") for kept in staying):
                staying.add(path)
                continue
            if first or path in self.owned.paths:
                self._record(path, "absent", have, effect=directory.effect, purged_by=directory.path)
            if have.kind != "absent":
                self._stray(path, have, directory.effect, Drift(have.kind, path, "state", None, "present"))

    def _refuse_drop_ins(self, unit: str) -> None:
        known = self.situation.drop_ins_before(unit)
        for path in self.seen.drop_ins[unit]:
            if not (path in self.path_records or path in known or ownership.has_owner(path, self.others)):
                effect = Effect("restart", (unit,))
                self._stray(path, self.seen.entries[path], effect, Drift("unit", unit, "drop_in", None, path))

    def _stray(self, path: str, have: Entry, effect: Effect, drift: Drift) -> None:
        self.drift.append(drift)
        self.paths.append(PathChange(path, have, ABSENT, "root", "root", effect, secret=True))

    def _json(self, file: DesiredFile, desired: t.Mapping[str, t.Any]) -> None:
        have = self._not_a_directory(file.path)
        if have.kind == "link":
            raise HostError(f"{file.path} is a link; name the file that it points to instead")
        record = self.owned.paths.get(file.path)
        ownership.refuse_foreign(self.component.name, file.path, "json", self.others, json_keys.pointers(desired))
        text = _text(have.content, file.path)
        merged = json_keys.merge(text, desired, record["keys"] if record else {}, file.path, file.json_only)
        self.notes += merged.notes
        content = merged.text.encode()
        self._record(file.path, "json", have, effect=file.effect, keys=merged.records, wrote=_sha256(content))
        self._key_drift(file.path, merged.drift, secret=file.secret)
        if have.kind == "absent":
            after, owner, group = Entry("file", mode=file.mode, content=content), file.owner, file.group
        else:
            after = dataclasses.replace(have, content=content)
            owner, group = owner_name(have.uid), group_name(have.gid)
        if content != have.content:
            names = {json_keys.parse_pointer(item.pointer)[0] for item in merged.drift}
            reload = names and names <= set(file.reload_keys)
            effect = dataclasses.replace(file.effect, impact="reload") if reload else file.effect
            self.paths.append(_change(file.path, have, after, owner, group, effect, file))

    def _swap(
        self,
        path: str,
        kind: ownership.PathKind,
        after: Entry,
        owner: str,
        group: str,
        metadata_effect: Effect,
        effect: Effect,
        file: DesiredFile | None = None,
        wrote: str | None = None,
    ) -> None:
        """Plan one path to become ``after``. A change of owner or mode alone has only ``metadata_effect``."""
        have = self.seen.entries[path] if kind == "directory" else self._not_a_directory(path)
        before_packages = file is not None and file.before_packages
        self._record(path, kind, have, effect=effect, wrote=wrote, before_packages=before_packages)
        secret = file is not None and file.secret
        found = _differences(file.kind if file else kind, path, after, have, owner, group, secret=secret)
        if not found:
            return
        self.drift.extend(found)
        same_content = (after.kind, after.content, after.target) == (have.kind, have.content, have.target)
        if same_content or file is None:
            effect = metadata_effect if same_content else effect
            self.paths.append(PathChange(path, have, after, owner, group, effect, secret=secret))
        else:
            self.paths.append(_change(path, have, after, owner, group, effect, file))

    def _not_a_directory(self, path: str) -> Entry:
        have = self.seen.entries[path]
        if have.kind in ("directory", "other"):
            what = "a directory" if have.kind == "directory" else "neither a file nor a link"
            raise HostError(f"{path} is {what}; move it away first")
        return have

    def _record(self, path: str, kind: ownership.PathKind, have: Entry, **more: t.Any) -> None:
        if kind != "json":
            ownership.refuse_foreign(self.component.name, path, kind, self.others)
        inherited = ownership.inherited_original(path, self.others) if kind in _INHERITED else None
        owned = self.owned.paths.get(path)
        original = owned["original"] if owned else inherited or self._was(path) or have
        self.path_records[path] = ownership.path_record(
            kind,
            original,
            more.get("effect", NOTHING),
            more.get("keys"),
            more.get("wrote"),
            more.get("purged_by"),
            before_packages=more.get("before_packages", False),
        )

    def _was(self, path: str) -> t.Mapping[str, t.Any] | None:
        """The packed entry from before this transaction, when an earlier call of it has already changed the path."""
        entries = self.journal.paths if self.journal else ()
        return next((entry["before"] for entry in entries if entry["path"] == path), None)

    def _release_paths(self) -> list[str]:
        """Give back the paths that are owned but no longer desired. Returns directories that go if they are empty."""
        gone: list[str] = []
        for path, record in self.owned.paths.items():
            if path in self.path_records:
                continue
            have, original = self.seen.entries[path], self.seen.originals[path]
            if record["kind"] == "directory":
                if original.kind == "absent" and have.kind == "directory":
                    gone.append(path)
                elif original.kind == have.kind and not ownership.has_owner(path, self.others):
                    self._give_back_owner(path, have, original)
                continue
            if have.kind in ("directory", "other"):
                continue  # somebody made something else of it: theirs now
            if record["kind"] == "repository" and ownership.has_owner(path, self.others):
                continue
            if record["kind"] == "json":
                original = self._release_json(path, record, have, original)
            elif original != have:
                want = None if original.kind == "absent" else "as before"
                have_word = None if have.kind == "absent" else "present"
                self.drift.append(Drift(_RELEASED_KIND[record["kind"]], path, "state", want, have_word))
            if original != have:
                effect = ownership.effect_of(record)
                self.paths.append(
                    PathChange(path, have, original, str(original.uid), str(original.gid), effect, secret=True)
                )
        removed = {change.path for change in self.paths if change.after.kind == "absent"}
        returning = [change.path for change in self.paths if change.after.kind != "absent"]
        going: list[str] = []
        for path in sorted(gone, reverse=True):
            if any(other.startswith(path + "/") for other in returning):
                continue
            if not ownership.has_owner(path, self.others) and removed.issuperset(self.seen.children[path]):
                removed.add(path)
                going.append(path)
                self.drift.append(Drift("directory", path, "state", None, "present"))
        return going

    def _give_back_owner(self, path: str, have: Entry, original: Entry) -> None:
        """A directory that was there before keeps its mode. Its owner may go, and another one be given the number."""
        if (have.uid, have.gid) != (original.uid, original.gid):
            after = dataclasses.replace(have, uid=original.uid, gid=original.gid)
            self.drift.append(Drift("directory", path, "owner", "as before", "different"))
            self.paths.append(PathChange(path, have, after, str(after.uid), str(after.gid), NOTHING))

    def _release_json(self, path: str, record: t.Mapping[str, t.Any], have: Entry, original: Entry) -> Entry:
        if have.kind != "file":
            return have
        merged = json_keys.merge(_text(have.content, path), {}, record["keys"], path)
        self._key_drift(path, merged.drift)
        self.notes += merged.notes
        if merged.notes:
            return dataclasses.replace(have, content=merged.text.encode())
        if record["wrote"] == _sha256(have.content or b"") and not ownership.has_owner(path, self.others):
            return original
        if original.kind == "absent" and merged.text.strip() == "{}" and not ownership.has_owner(path, self.others):
            return ABSENT
        return dataclasses.replace(have, content=merged.text.encode())

    def _key_drift(self, path: str, found: t.Iterable[json_keys.KeyDrift], *, secret: bool = False) -> None:
        for item in found:
            want, have = ("secret", "secret") if secret else (item.want, item.have)
            self.drift.append(Drift("json_key", f"{path}#{item.pointer}", "value", want, have))


def _change(
    path: str, before: Entry, after: Entry, owner: str, group: str, effect: Effect, file: DesiredFile
) -> PathChange:
    """A change of content, which the file's validator has to accept."""
    return PathChange(
        path,
        before,
        after,
        owner,
        group,
        effect,
        file.validate,
        file.validate_as,
        file.validate_with,
        file.secret,
    )


def _differences(
    kind: str, path: str, after: Entry, have: Entry, owner: str, group: str, *, secret: bool
) -> list[Drift]:
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


def _name(desired: str, number: int, look_up: t.Callable[[int], str]) -> str:
    return str(number) if desired.isdigit() else look_up(number)


def _text(content: bytes | None, path: str) -> str:
    try:
        return (content or b"").decode()
    except UnicodeDecodeError as exc:
        raise HostError(f"{path} is not UTF-8 text, so it is not JSON; it was left untouched") from exc


def _summary(content: bytes | None) -> str:
    return f"sha256:{_sha256(content or b'')[:12]}"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
