#!/bin/sh
# How full is a disk? Usage: disk.sh FOLDER [LIMIT]. Hands back `used`, and `full` when it is LIMIT percent or more.
set -eu
used=$(df -P -- "$1" | awk 'NR == 2 { sub("%", "", $5); print $5 }')
[ -n "$used" ] || { echo "df tells nothing about $1" >&2; exit 1; }
echo "flowlord:meta used=$used"
if [ "$used" -ge "${2:-90}" ]; then echo "flowlord:meta full=$used"; fi
echo "$1 is $used % full" >&2
