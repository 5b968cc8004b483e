#!/bin/sh
# Send a week of July once more: first only looked at, then sent, newest day first, three days open at a time.
set -eu

flowlord backload sales:day --from 2026-07-06 --to 2026-07-12 -o name
flowlord backload sales:day --from 2026-07-06 --to 2026-07-12 --order newest --max-active 3 --execute
flowlord run --once --quiet --worker sales=builtin:echo --worker store=builtin:noop

# The same once more sends nothing; it says what became of the first.
flowlord backload sales:day --from 2026-07-06 --to 2026-07-12 --order newest --max-active 3 --execute
flowlord backload list -o jsonl

# Days that nobody ever sent: the history knows.
flowlord backload sales:day --from 2026-07-01 --to 2026-07-12 --only missing -o name
