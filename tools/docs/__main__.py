# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the site of the documentation under .build/docs/html: `make docs`.

What antsibull-docs finds wrong in the manuals of plugins and roles, a warning of Sphinx, or a link that leads nowhere
in the site, is a failure. Nothing is fetched, and nothing is written elsewhere.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import yaml

from tools.docs import links, pages

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build" / "docs"
SOURCE = BUILD / "source"
SITE = BUILD / "html"
# The first page of the site: that of the guides.
_FIRST = f"""<!DOCTYPE html>
<title>mlops.hosts</title>
<meta http-equiv="refresh" content="0; url={pages.INDEX.replace(".md", ".html")}">
<a href="{pages.INDEX.replace(".md", ".html")}">mlops.hosts</a>
"""


def main() -> int:
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    shutil.rmtree(BUILD, ignore_errors=True)
    manuals = SOURCE / Path(pages.MANUALS).parent
    manuals.mkdir(parents=True)
    # It writes into no folder that others may write.
    manuals.chmod(0o755)
    _run("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", f"{ROOT}")
    _run(
        "antsibull-docs",
        "collection",
        "--use-current",
        "--squash-hierarchy",
        "--fail-on-error",
        f"--dest-dir={manuals}",
        f"{galaxy['namespace']}.{galaxy['name']}",
    )
    pages.copy(ROOT, SOURCE, galaxy["repository"])
    inventory = pages.of_ansible(path.read_text() for path in manuals.glob("*.rst"))
    (SOURCE / "ansible.inv").write_bytes(_INVENTORY + zlib.compress(inventory.encode()))
    conf = f"--conf-dir={Path(__file__).parent}"
    _run("sphinx-build", "--fail-on-warning", "--quiet", conf, f"{SOURCE}", f"{SITE}")
    (SITE / "index.html").write_text(_FIRST)
    found = list(links.broken(SITE))
    print("".join(f"docs: {line}\n" for line in found), end="", file=sys.stderr)
    if not found:
        count = len(list(SITE.rglob("*.html")))
        print(f"docs: {count} pages without a warning or a broken link: {(SITE / 'index.html').relative_to(ROOT)}")
    return 1 if found else 0


_INVENTORY = b"""# Sphinx inventory version 2
# Project: Ansible
# Version: latest
# The remainder of this file is compressed using zlib.
"""


def _run(program: str, *argv: str) -> None:
    done = subprocess.run([Path(sys.executable).parent / program, *argv], cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(f"docs: {program} exited with status {done.returncode}")


if __name__ == "__main__":
    sys.exit(main())
