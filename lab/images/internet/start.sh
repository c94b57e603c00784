#!/bin/sh
# Web server and outbound proxy in the background, names in the foreground.
set -eu
nginx
mkdir -p /var/log/lab
: >>/var/log/lab/proxy.log
tinyproxy -c /etc/tinyproxy.conf
exec dnsmasq
