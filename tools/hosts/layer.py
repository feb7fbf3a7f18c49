# Copyright (c) 2026, The mlops.hosts founders
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the layer of a container image with the llama-server of Debian forky, made of its packages.

python -m tools.hosts.layer FILE.tar
"""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

from tools.hosts.docker_engine import engine
from tools.hosts.image import LAYER, ensure_server


def main(target: str) -> None:
    client = engine()
    container = client.containers.create(ensure_server(client), "true")
    try:
        packed = io.BytesIO(b"".join(container.get_archive(LAYER)[0]))
    finally:
        container.remove()
    with tarfile.open(fileobj=packed) as tar:
        content = tar.extractfile(LAYER.lstrip("/"))
        assert content is not None
        Path(target).write_bytes(content.read())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
