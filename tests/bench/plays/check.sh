# shellcheck shell=bash
# What holds on a host when the job is done; prints what does not, and fails.
# Read by `bash -s` on the host: ROLE(mirror|client) URL AUTHORITY CONTAINER
set -uo pipefail
role=$1 url=$2 authority=$3 container=$4
wrong=0

need() { # what command…
  local what=$1
  shift
  "$@" >/dev/null 2>&1 || { echo "$(hostname): not so: $what" && wrong=1; }
}

# shellcheck disable=SC2329  # by need
live_mirror() { docker info -f '{{range .RegistryConfig.Mirrors}}{{println .}}{{end}}' | sed 's,/$,,' | grep -qxF "$url"; }

ca=/etc/docker/certs.d/$authority/ca.crt
need "the CA is where Docker looks for it" test -s "$ca"
need "daemon.json names the mirror" grep -qF "\"$url\"" /etc/docker/daemon.json
need "the running Docker knows the mirror" live_mirror
need "the mirror answers, and its certificate is trusted" curl -sSf --max-time 5 --cacert "$ca" -o /dev/null "$url/v2/"
if [ "$role" = mirror ]; then
  need "docker-ce is installed" rpm -q docker-ce docker-ce-cli containerd.io
  need "gpgcheck is on" grep -q '^gpgcheck=1' /etc/yum.repos.d/docker-ce.repo
  need "Docker runs" systemctl is-active -q docker
  need "Docker starts at boot" systemctl is-enabled -q docker
  need "the access rules are loaded" nft list table inet registry_cache
  need "the access rules are loaded at boot" systemctl is-enabled -q registry-cache-firewall
  need "the certificate is for the registry only" test "$(stat -c '%a %u' /etc/registry-cache/tls/server.pem)" = "400 1000"
  need "the registry runs" test "$(docker inspect -f '{{.State.Running}}' "$container")" = true
fi
exit "$wrong"
