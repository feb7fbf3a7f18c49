#!/usr/bin/env bash
# Runs each command, whatever came of the one before, says how each ended, and fails if one failed.
set -u
failed=0
summary=
for command in "$@"; do
    echo "== $command"
    begun=$SECONDS
    if $command; then verdict=passed; else verdict=FAILED failed=1; fi
    summary+="$command: $verdict, $((SECONDS - begun)) s"$'\n'
done
printf '\n%s' "$summary"
exit $failed
