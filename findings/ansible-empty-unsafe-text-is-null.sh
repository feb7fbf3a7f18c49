#!/usr/bin/env bash
# ansible-core 2.19.14: an empty text with the tag !unsafe is null. AWX 24.6.1 writes answers of surveys with that tag, so that a question
# that was left blank becomes null, and not an empty text. See docs/awx.md for what a survey of ours does about it.
set -euo pipefail
file=$(mktemp)
trap 'rm -f "$file"' EXIT
printf '%s\n' "tagged: !unsafe ''" "plain: ''" "full: !unsafe 'x'" >"$file"
ansible --version | sed -n 1p
said=$(ansible localhost -i localhost, -c local -m ansible.builtin.debug -e "@$file" \
  -a "msg='{{ [tagged is none, plain is none, full is none] | to_json }}'" 2>/dev/null | tr -d ' \n')
grep -qF '[true,false,false]' <<<"$said" || { echo "changed: $said"; exit 1; }
echo "as described"
