#!/bin/sh
# What failed in the last 24 hours, as a file. Usage: digest.sh FILE
set -eu
mkdir -p "$(dirname "$1")"
flowlord tasks --failed --since 24h -o tsv > "$1.part"
mv "$1.part" "$1"
echo "flowlord:meta file=$1"
echo "$1" >&2
