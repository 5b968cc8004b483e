#!/bin/sh
# Takes as long as a slow service would, and tells how long that was.
sleep 0.2
echo "flowlord:meta ms=200"
