#!/bin/sh
# A worker as a command:  flowlord worker --types count --exec 'sh examples/workers/count.sh {info}'
set -eu
if [ ! -e "$1" ]; then
  echo "$1 is not there yet" >&2
  exit 75 # not now: the task comes back later, and no try is counted
fi
lines=$(wc -l < "$1")
echo "flowlord:meta lines=$((lines))" # handed to the phases that follow
echo "$((lines)) lines (run $FLOWLORD_TASK_ID)" >&2 # the last line on stderr is the message
