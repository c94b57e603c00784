#!/bin/sh
# The counting front in the background, the registry in the foreground.
set -eu
nginx
exec registry serve /etc/lab/registry.yml
