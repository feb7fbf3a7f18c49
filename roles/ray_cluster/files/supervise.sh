#!/bin/sh
# Part of mlops.hosts. Runs Ray, which exits with status 1 when it is told to stop as well as when it has failed: a stop
# that was asked for ends with 0 here, and whatever else Ray ends with is a failure.
stop() {
    trap '' TERM
    kill -TERM "$ray" 2>/dev/null
    wait "$ray"
    exit 0
}
"$@" "--labels=mlops.hosts/start=$INVOCATION_ID" &
ray=$!
trap stop TERM
wait "$ray"
status=$?
echo "Ray has ended by itself, with status $status" >&2
[ "$status" -ne 0 ] || status=1
exit "$status"
