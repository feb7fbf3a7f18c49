# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wheels of tiny packages, and a package index of them: real ones, to install real environments from.

Run as a program, it writes an index: ``tiny_wheel.py FOLDER NAME==VERSION[,REQUIREMENT...][@FILE] ...``, and prints the
requirement set. ``FILE`` is the package's module in Python, whose ``main()`` its program runs.
"""

from __future__ import annotations

import base64
import hashlib
import pathlib
import sys
import zipfile


def wheel(
    name: str,
    version: str,
    folder: pathlib.Path,
    *,
    requires: tuple[str, ...] = (),
    text: str = "",
    more: str = "",
    code: str = "",
    empty: bool = False,
) -> str:
    """Write a wheel into the folder of its package in an index. Returns its line in a requirement set.

    The package has a program of its name that prints its version and ``text``, or runs ``main()`` of ``code``.
    ``more``: further lines of its metadata. ``empty``: it has metadata, and nothing else.
    """
    module = name.replace("-", "_")
    about = f"{module}-{version}.dist-info"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        "Summary: fake for tests",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    files = {
        f"{module}/__init__.py": code or f"def main():\n    print({version!r}, {text!r})\n",
        f"{about}/METADATA": "\n".join([*metadata, *more.splitlines(), ""]),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tiny\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": f"[console_scripts]\n{name} = {module}:main\n",
    }
    if empty:
        del files[f"{module}/__init__.py"], files[f"{about}/entry_points.txt"]
    rows = [f"{path},sha256={_digest(content)},{len(content)}" for path, content in files.items()]
    files[f"{about}/RECORD"] = "\n".join([*rows, f"{about}/RECORD,,", ""])
    path = folder / name / f"{module}-{version}-py3-none-any.whl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for inner, content in files.items():
            archive.writestr(zipfile.ZipInfo(inner, (2026, 1, 1, 0, 0, 0)), content)
    names = sorted(one.name for one in path.parent.glob("*.whl"))
    (path.parent / "index.html").write_text("".join(f'<a href="{one}">{one}</a>\n' for one in names))
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def _digest(content: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()


def main() -> None:
    folder, *packages = sys.argv[1:]
    for package in packages:
        package, _, file = package.partition("@")
        pinned, *requires = package.split(",")
        name, _, version = pinned.partition("==")
        code = pathlib.Path(file).read_text() if file else ""
        print(wheel(name, version, pathlib.Path(folder), requires=tuple(requires), code=code))


if __name__ == "__main__":
    main()
