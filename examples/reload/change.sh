#!/bin/sh
# Break a file of a daemon that runs, then mend it in another way.
set -eu

flowlord workers -o jsonl                                    # `revision` tells what runs
sed 's/^rule = .*/rule = "cron=61 * * * *"/' workflows/greet.toml > workflows/greet.new
cp workflows/greet.toml greet.before
mv workflows/greet.new workflows/greet.toml
flowlord reload || echo "exit $?: the last good version goes on"
sed 's/hello/good morning/' greet.before > workflows/greet.new
mv workflows/greet.new workflows/greet.toml
flowlord reload
flowlord workers -o jsonl
