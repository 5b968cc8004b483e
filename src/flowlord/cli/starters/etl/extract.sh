#!/bin/sh
# extract.sh INFO: fetch the sales of an hour. Here they lie in data/; put your own source in its place.
set -eu
hour=${1#*hour=}
mkdir -p out
cp data/sales.csv "out/sales-$hour.csv.part"
mv "out/sales-$hour.csv.part" "out/sales-$hour.csv"  # whole or not at all
echo "flowlord:meta file=out/sales-$hour.csv"        # handed to what follows
echo "fetched $hour" >&2                             # the message
