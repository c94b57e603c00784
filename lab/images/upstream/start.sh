#!/bin/sh
# The counting front in the background, the registry that LAB_REGISTRY names in the foreground.
set -eu
registry=${LAB_REGISTRY:?}
case "$registry" in
docker.io) data=/var/lib/registry ;;
*) data=/var/lib/registry-$registry ;;
esac
configuration=/run/registry.yml
cat /etc/lab/registry.yml >"$configuration"
if [ "$registry" = ghcr.io ]; then
    cat /etc/lab/token-auth.yml >>"$configuration"
    token_server.py &
fi
nginx
export REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY="$data"
exec registry serve "$configuration"
