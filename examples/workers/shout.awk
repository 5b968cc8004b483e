#!/usr/bin/awk -f
# A worker in a language that knows nothing of flowlord: it reads the task as JSON, one line on stdin.
#   flowlord worker --types shout --exec 'awk -f examples/workers/shout.awk'

# The value of a field. A task is flat and holds texts only, so a pattern is enough.
function field(name, found) {
  if (!match($0, "\"" name "\":\"([^\"\\\\]|\\\\.)*\"")) return ""
  found = substr($0, RSTART + length(name) + 4, RLENGTH - length(name) - 5)
  gsub(/\\"/, "\"", found)
  gsub(/\\\\/, "\\", found)
  return found
}

{
  if (field("type") != "shout" || field("info") == "") {
    print "this is no task of mine: " $0 > "/dev/stderr"
    exit 1
  }
  print "flowlord:meta length=" length(field("info"))
  print toupper(field("info")) > "/dev/stderr"
}
