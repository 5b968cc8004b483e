#!/bin/sh
# Let files arrive, each put in its place as a whole.
set -eu

put() {
    mkdir -p "in/${1%/*}"
    [ -e "in/$1" ] || { echo x > "in/$1.tmp" && mv "in/$1.tmp" "in/$1"; }
}

put 2026/08/01/users.csv
put 2026/08/01/users_old.csv    # ignored
put prices/now.json
put big/half.bin                # nobody has marked it as done
put big/dump.bin
put big/dump.bin.done
for n in 1 2 3 4; do put "parts/0515/part-$n"; done
put 2026/08/01/users.txt        # fits no pattern

flowlord files --test in/2026/08/01/users.txt --workflows arrivals.toml || echo "exit code $?: it starts nothing"
