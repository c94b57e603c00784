#!/bin/bash
# A host of a real userland: BASE_IMAGE with systemd, sshd, sudo, and what FIREWALL, DOCKER and IPTABLES_PLACE ask for.
# Needs the image's registry, its package repositories, and download.docker.com where DOCKER is not "none".
set -euo pipefail
: "${OUT:?}" "${SOURCES:?}" "${IMAGE:?}" "${BASE_IMAGE:?}" "${FIREWALL:?}" "${DOCKER:?}" "${IPTABLES_PLACE:?}"
context="$OUT/context"
mkdir -p "$context/files"
cp "$SOURCES"/real/{Dockerfile,turn-into-host.sh} "$context"
# Of the prototype's files those that are not RHEL's own anyway.
for file in etc/ssh/sshd_config.d/lab.conf etc/sudoers.d/operator etc/systemd/journald.conf.d/lab.conf \
    usr/local/sbin/lab-init; do
    install -D "$SOURCES/host/files/$file" "$context/files/$file"
done
docker build -q --pull -t "$IMAGE" --build-arg "BASE=$BASE_IMAGE" --build-arg "FIREWALL=$FIREWALL" \
    --build-arg "DOCKER=$DOCKER" --build-arg "IPTABLES_PLACE=$IPTABLES_PLACE" "$context"
rm -rf "$context"
