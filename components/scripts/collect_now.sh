# shellcheck shell=bash
# One run of the collector, now, and the line that it ends with. Runs on a mirror.
set -euo pipefail
unit=registry-cache-collect-now.service
line=/var/lib/registry-cache/collect/now
if [ ! -e "/etc/systemd/system/$unit" ]; then
  echo "there is no collector on this host yet: bring the stack up" >&2
  exit 1
fi
rm -f "$line"
if ! systemctl start "$unit"; then
  journalctl -u "$unit" -n 5 --no-pager -o cat >&2
  exit 1
fi
cat "$line"
