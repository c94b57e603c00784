#!/bin/sh
# Web server in the background, names in the foreground.
set -eu
nginx
exec dnsmasq
