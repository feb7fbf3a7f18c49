#!/usr/bin/env bash
# containerd 1.6.20 (Debian 12): a file that config.toml imports, and that has a section of a plugin which config.toml has as well,
# replaces that section whole. What only config.toml has set there, such as the sandbox image, is the built-in default again, and
# so is the runtime runc lost, without a word. See docs/containerd.md for other versions.
set -euo pipefail
version=1.6.20~ds1-1+deb12u3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq -o APT::Sandbox::User=root "containerd=$version" >/dev/null
dpkg-deb -x containerd_*.deb .

cat >site.toml <<'TOML'
version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "registry.example.org/pause:3.9"
TOML
cat >imported.toml <<'TOML'
version = 2
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.another]
runtime_type = "io.containerd.runc.v2"
TOML
sed "s|^version = 2|&\nimports = [\"$folder/imported.toml\"]|" site.toml >both.toml

dump() { ./usr/bin/containerd --config "$1" config dump | sed -n 's/^ *\(sandbox_image = .*\|\[.*\.runtimes\.[a-z]*\]\)$/\1/p'; }
echo "containerd $version"
echo "-- without the import:" && dump "$folder/site.toml" | tee alone
echo "-- with it:" && dump "$folder/both.toml" | tee together

says() { grep -qF "$1" "$2" || { echo "changed: no $1 $3"; exit 1; }; }
lacks() { if grep -qF "$1" "$2"; then echo "changed: $1 is there $3"; exit 1; fi; }
says registry.example.org/pause:3.9 alone "without the import"
says runtimes.runc] alone "without the import"
says runtimes.another] together "with the import"
lacks registry.example.org/pause:3.9 together "with the import"
lacks runtimes.runc] together "with the import"
echo "as described"
