#!/bin/sh
# Tell of two files, of one of them twice, and of none with a message that is no notice.
set -eu

for notice in gcs.json s3.json gcs.json; do
    flowlord send files "$(cat "$notice")" > /dev/null
done
flowlord send files 'no notice' > /dev/null
flowlord run --once --quiet --worker load=builtin:echo
flowlord tasks --topic load -o jsonl
flowlord files -o jsonl
