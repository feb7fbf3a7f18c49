#!/usr/bin/env bash
# Makes .venv from requirements.lock, and the path under which Ansible finds this checkout as a collection.
set -euo pipefail
cd "$(dirname "$0")/.."

link() {
    mkdir -p .build/collections/ansible_collections/mlops
    ln -sfn ../../../.. .build/collections/ansible_collections/mlops/hosts
}

find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    return 1
}

lock=$(sha256sum <requirements.lock)
if [ "$(cat .venv/.lock 2>/dev/null)" = "$lock" ]; then
    link
    exit
fi

if ! python=$(find_python); then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "setup: installing python3-venv"
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
    fi
    if ! python=$(find_python); then
        echo "setup: Python 3.11, 3.12 or 3.13 with venv is needed (on Debian: python3-venv), and none was found" >&2
        exit 1
    fi
fi
echo "setup: making .venv with $("$python" --version)"
rm -rf .venv
"$python" -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
link
printf '%s\n' "$lock" >.venv/.lock
