#!/bin/sh
# Checks a file of planets, then hands back its name and how many there are. Usage: catalog.sh FILE
#
# What flowlord takes from a command: the exit status (0 is complete), the last line on stderr (the message), and lines
# on stdout that start with "flowlord:meta" (what the next phases may use).
set -eu
file=$1
[ -r "$file" ] || { echo "$file cannot be read" >&2; exit 1; }

rows=$(awk -F, '
  function wrong(text) { printf "%s:%d: %s\n", FILENAME, NR, text > "/dev/stderr"; failed = 1; exit 1 }
  function is_positive(text) { return text ~ /^[0-9]+(\.[0-9]+)?$/ && text + 0 > 0 }
  NR == 1 { if ($0 != "planet,distance_mkm,period_days,diameter_km") wrong("other columns than expected: " $0); next }
  NF != 4 { wrong("4 columns are expected, not " NF) }
  $1 !~ /^[A-Z][a-z]+$/ { wrong("this is no name of a planet: " $1) }
  seen[$1]++ { wrong($1 " is there twice") }
  { for (n = 2; n <= 4; n++) if (!is_positive($n)) wrong("this is no positive number: " $n) }
  { rows++ }
  END { if (failed) exit 1; if (!rows) wrong("there are no planets"); print rows }
' "$file")

echo "flowlord:meta file=$file"
echo "flowlord:meta rows=$rows"
echo "$rows planets" >&2
