#!/usr/bin/env bash
# HAProxy 2.6.12 (Debian 12; 3.0.11 of Debian 13 and 3.2.26 of forky do the same): with load-server-state-from-file, a server whose port has changed in the
# configuration keeps the port of the state file, and a server that has a name keeps its address as well, without a word. So a
# reload that saves the states, as drains need it, sends requests to where a server was.
set -euo pipefail
version=2.6.12-1+deb12u4
folder=$(mktemp -d)
trap 'kill $(cat "$folder/pid") 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq -o APT::Sandbox::User=root "haproxy=$version" liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 >/dev/null
for package in *.deb; do dpkg-deb -x "$package" .; done
export LD_LIBRARY_PATH=$folder/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo x86_64-linux-gnu)
echo "haproxy $version"

cat >haproxy.cfg <<CFG
global
    stats socket $folder/api.sock level admin
    server-state-file $folder/states
    pidfile $folder/pid
defaults
    mode http
    load-server-state-from-file global
    timeout connect 1s
    timeout client 1s
    timeout server 1s
    default-server init-addr last,libc,none
backend models
    server moved 127.0.0.2:9001
    server named localhost:9001
CFG
ask() {
    python3 - "$folder/api.sock" "$1" <<'PY'
import socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + b"\n")
    print(b"".join(iter(lambda: s.recv(65536), b"")).decode(), end="")
PY
}
start() { usr/sbin/haproxy -D -f haproxy.cfg; }
start
ask "set server models/moved state drain"
ask "set server models/named addr 127.0.0.9" >/dev/null
ask "show servers state" >states
kill "$(cat pid)"; rm -f pid
sed -i 's/127.0.0.2:9001/127.0.0.3:9002/; s/localhost:9001/localhost:9002/' haproxy.cfg
start
ask "show servers state" | awk '$2 == "models" { print $4, $5 ":" $19, "admin=" $7 }' | tee found

says() { grep -qxF "$1" found || { echo "changed: no '$1'"; exit 1; }; }
says "moved 127.0.0.3:9001 admin=8"   # its new address, its old port, and still drained
says "named 127.0.0.9:9001 admin=0"   # its old address and its old port
echo "as described"
