#!/usr/bin/env bash
# Runs rings of proof in order, every one of them, and fails if one failed.
set -u
failed=()
for ring in "$@"; do
    begun=$SECONDS
    if make --no-print-directory "$ring"; then verdict=passed; else verdict=FAILED failed+=("$ring"); fi
    summary+="ring $ring: $verdict, $((SECONDS - begun)) s"$'\n'
    echo "ring $ring: $verdict, $((SECONDS - begun)) s"
done
echo
printf '%s' "$summary"
[ "${#failed[@]}" -eq 0 ]
