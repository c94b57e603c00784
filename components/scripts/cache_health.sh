# shellcheck shell=sh
# A cache's health check. It leaves the registry's own counters in the data directory as well, since the
# debug server that has them answers inside of the container only.
# PATH-OF-COUNTERS FILE
set -eu
debug=http://127.0.0.1:5001
file=/var/lib/registry/$2
wget -q -O /dev/null "$debug/debug/health"
# From here on nothing fails the check: a disk that is full is no reason to replace a cache that serves.
# The counters come whole or not at all: tmpfs first, then a rename.
if timeout 2 wget -q -O /tmp/counters "$debug$1" && cp /tmp/counters "$file.new" && mv -f "$file.new" "$file"; then
  exit 0
fi 2>/dev/null
rm -f "$file.new" || true
