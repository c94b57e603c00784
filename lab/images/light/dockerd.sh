#!/bin/sh
# A stand-in for dockerd on light hosts: takes up daemon.json when it starts and on SIGHUP, and does nothing else.
set -eu
if [ "${1:-}" = --version ]; then
    echo 'Docker version 28.5.2, build lab'
    exit 0
fi
live=/run/docker/daemon.json
take_up() {
    mkdir -p /run/docker
    if [ -e /etc/docker/daemon.json ]; then cat /etc/docker/daemon.json >"$live.new"; else echo '{}' >"$live.new"; fi
    mv "$live.new" "$live"
}
trap take_up HUP
trap 'rm -f "$live"; exit 0' TERM
take_up
systemd-notify --ready
while :; do
    sleep infinity &
    wait || :
done
