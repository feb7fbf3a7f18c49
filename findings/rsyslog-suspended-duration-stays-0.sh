#!/usr/bin/env bash
# rsyslog 8.2302.0 (Debian 12; 8.2504.0 of Debian 13 does the same, with omrelp as well): of an action with action.resumeRetryCount="-1",
# which is tried again for ever, impstats counts neither suspended nor suspended.duration. A sink that is down for hours is 0 s
# suspended. What shows it is that lines wait in its queue and "processed" stays as it is.
set -euo pipefail
version=8.2302.0-1+deb12u1
folder=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null || true; rm -rf "$folder"' EXIT
pid=0
cd "$folder"
apt-get download -qq -o APT::Sandbox::User=root "rsyslog=$version" libestr0 libfastjson4 liblognorm5 >/dev/null
for package in *.deb; do dpkg-deb -x "$package" .; done
libraries=$folder/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo x86_64-linux-gnu)
echo "rsyslog $version"

cat >rsyslog.conf <<CFG
global(workDirectory="$folder")
main_queue(queue.type="direct")
module(load="impstats" interval="2" format="json" log.file="$folder/stats" log.syslog="off")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="$folder/log")
ruleset(name="sink" queue.type="LinkedList") {
  action(name="sink" type="omfwd" protocol="tcp" target="127.0.0.1" port="9" action.resumeRetryCount="-1" action.resumeInterval="1")
}
call sink
CFG
LD_LIBRARY_PATH=$libraries usr/sbin/rsyslogd -n -iNONE -M "$libraries/rsyslog" -f "$folder/rsyslog.conf" 2>said &
pid=$!
for _ in $(seq 50); do [ -S log ] && break; sleep 0.1; done
for line in 1 2 3; do logger --socket "$folder/log" "$line"; done
sleep 11
grep -o '{.*"sink".*}' stats | tail -n 2 | tee found

says() { grep -qF "$1" found || { echo "changed: no '$1'"; exit 1; }; }
grep -q "Connection refused" said || { echo "somebody listens on port 9"; exit 1; }
says '"processed": 1, "failed": 0, "suspended": 0, "suspended.duration": 0'
says '"size": 3, "enqueued": 3'
echo "as described"
