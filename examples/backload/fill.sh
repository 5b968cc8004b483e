#!/bin/sh
# Send the 24 hours of a day, oldest first, and one of them once more under another id.
set -eu

day="--from 2026-07-01T00 --to 2026-07-01T23 --by hour"

flowlord backload orders:hour $day -o name                   # what would be sent: nothing has happened yet
id=$(flowlord backload orders:hour $day --order oldest --max-active 5 --execute)
flowlord run --once --quiet --worker orders=builtin:noop
flowlord backload status "$id" -o jsonl

# One of them again, although it succeeded. Without --again the same request is sent once, whoever types it.
flowlord backload orders:hour --at 2026-07-01T05 --execute
flowlord backload orders:hour --at 2026-07-01T05 --execute
flowlord backload orders:hour --at 2026-07-01T05 --again --execute
flowlord run --once --quiet --worker orders=builtin:noop
