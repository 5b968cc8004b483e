#!/bin/bash
# A worker without flowlord. It runs a command for each task, with the task's JSON on stdin; exit code 0 is success:
#   examples/foreign_worker/worker.sh load python3 load.py
topics="{${FLOWLORD_NAMESPACE:-flowlord}}:topic" topic=$1
shift
url=${REDIS_URL:-localhost:6379}
[[ $url == *://* ]] || url=redis://$url
ask() { redis-cli -e -u "$url" "$@"; }
ask XGROUP CREATE "$topics:$topic" workers 0 MKSTREAM >/dev/null # fails when it is there, which is fine
while true; do
  got=$(ask XREADGROUP GROUP workers "$HOSTNAME-$$" COUNT 1 BLOCK 1000 STREAMS "$topics:$topic" '>') || sleep 1
  [ -n "$got" ] || continue
  mapfile -t lines <<<"$got" # the stream, the entry's id, then the name and the value of each field
  declare -A field=()
  for ((n = 2; n < ${#lines[@]}; n += 2)); do field[${lines[n]}]=${lines[n + 1]}; done
  started=$(date -u +%FT%TZ) result=complete
  "$@" <<<"${field[task]}" || result=error
  told="\"result\":\"$result\",\"started\":\"$started\",\"ended\":\"$(date -u +%FT%TZ)\"}"
  # Report first, then acknowledge: who dies in between does it again, and the second report counts for nothing.
  ask XADD "$topics:done" '*' key "${field[key]}" task "${field[task]%\}},$told" >/dev/null &&
    ask XACK "$topics:$topic" workers "${lines[1]}" >/dev/null &&
    ask XDEL "$topics:$topic" "${lines[1]}" >/dev/null
done
