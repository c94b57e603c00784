# shellcheck shell=bash
# What is on a host that a guide's mirror or a client of one may have: read only, for `make adopt`.
# Prints sections: a line "=== KIND ARGUMENT…", then lines that begin with "| ". Of settings only the names
# are shown, unless the value is known to be none that is secret; a login in a URL is replaced by ***.
set -uo pipefail
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
LOG_LINES=20000
DU_SECONDS=20

section() { printf '=== %s\n' "$*"; }
quoted() { sed 's/^/| /'; }
fact() { printf '| %s=%s\n' "$1" "${2-}"; }
without_logins() { sed -E 's,//[^/@"[:space:]]*@,//***@,g'; }
certificates() { sed -n '/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/p'; }
active() { systemctl is-active -q "$1" 2>/dev/null && echo yes || echo no; }

# Asking a Docker that is stopped would start it, by its socket.
docker_may_be_asked() {
  command -v docker >/dev/null && { [ "$(active docker)" = yes ] || [ "$(active docker.socket)" = no ]; }
}

# Settings whose values are no secrets; all others are shown by name alone.
OPEN_SETTINGS='^(REGISTRY_PROXY_(REMOTEURL|TTL)|REGISTRY_HTTP_(ADDR|HOST|NET|PREFIX)|REGISTRY_HTTP_TLS_(CERTIFICATE|KEY|CLIENTCAS|MINIMUMTLS)|REGISTRY_HTTP_DEBUG_ADDR|REGISTRY_STORAGE|REGISTRY_STORAGE_FILESYSTEM_(ROOTDIRECTORY|MAXTHREADS)|REGISTRY_STORAGE_DELETE_ENABLED|REGISTRY_STORAGE_CACHE_BLOBDESCRIPTORS?|REGISTRY_AUTH|REGISTRY_CONFIGURATION_PATH|HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy)$'

environment() { # container
  docker container inspect -f '{{range .Config.Env}}{{println .}}{{end}}' "$1" |
    awk -v open="$OPEN_SETTINGS" '/^[A-Za-z_][A-Za-z0-9_.-]*=/ {
      name = substr($0, 1, index($0, "=") - 1)
      if (name ~ open) print; else print name
    }' | without_logins | quoted
}

# The keys of a config.yml, with the values of those that are no secrets.
configuration() {
  awk '{
    sub(/\r$/, "")
    if (match($0, /^[ ]*(- )?[A-Za-z_][A-Za-z0-9_.-]*:/)) {
      key = substr($0, RSTART, RLENGTH); value = substr($0, RLENGTH + 1)
      name = key; gsub(/[ :-]/, "", name)
      sub(/^[ \t]+/, "", value); sub(/[ \t]+#.*$/, "", value)
      if (name ~ /^(version|remoteurl|ttl|addr|host|net|prefix|certificate|key|minimumtls|rootdirectory|maxthreads|enabled|blobdescriptors?|level)$/ && value !~ /^[|>&*{\[]/)
        print key " " value
      else if (value == "" || value ~ /^#/) print key
      else print key " (not shown)"
    }
  }' | without_logins | quoted
}

from_container() { # container path
  docker cp -L "$1:$2" - 2>/dev/null | tar -xOf - 2>/dev/null
}

INSPECT='{"id":{{json .Id}},"name":{{json .Name}},"image":{{json .Config.Image}},"args":{{json .Args}},"path":{{json .Path}},"user":{{json .Config.User}},"running":{{json .State.Running}},"restart":{{json .HostConfig.RestartPolicy.Name}},"auto_remove":{{json .HostConfig.AutoRemove}},"network":{{json .HostConfig.NetworkMode}},"ports":{{json .HostConfig.PortBindings}},"exposed":{{json .Config.ExposedPorts}},"mounts":{{json .Mounts}},"read_only":{{json .HostConfig.ReadonlyRootfs}},"privileged":{{json .HostConfig.Privileged}},"cap_drop":{{json .HostConfig.CapDrop}},"log":{{json .HostConfig.LogConfig.Type}},"log_limit":{{json (index .HostConfig.LogConfig.Config "max-size")}},"compose":{{json (index .Config.Labels "com.docker.compose.project")}},"swarm":{{json (index .Config.Labels "com.docker.swarm.service.name")}},"ours":{{json (index .Config.Labels "registry-cache.configuration")}}}'

registries() { # ids of the containers that look like a registry
  local id text
  for id in $(docker ps -aq --no-trunc); do
    text=$(docker container inspect -f '{{.Config.Image}} {{.Path}} {{json .Args}}{{range .Config.Env}} {{.}}{{end}}' "$id")
    if grep -Eq '(^|/)(registry|distribution)([:@ ]|$)|registry[^ ]*proxy|^[^ ]+ [^ ]*(registry|entrypoint\.sh) .*config\.ya?ml| REGISTRY_[A-Z]+' <<<"$text"; then echo "$id"; fi
  done
}

setting_of() { # container name: from its environment
  docker container inspect -f '{{range .Config.Env}}{{println .}}{{end}}' "$1" | sed -n "s/^$2=//p" | tail -n 1 | tr -d "\"'"
}

tls_path() { # container key configuration: the value below `tls:`, where the environment has none
  awk -v key="$2:" '/^[ ]*tls:/ { indent = index($0, "t"); inside = 1; next }
    inside && match($0, /[^ ]/) && RSTART <= indent { inside = 0 }
    inside && $1 == key { gsub(/["\047]/, "", $2); print $2; exit }' <<<"$3"
}

one_registry() { # id
  local id=$1 name config path pem key place root kind source target
  name=$(docker container inspect -f '{{.Name}}' "$id")
  name=${name#/}
  section container "$name"
  docker container inspect -f "$INSPECT" "$id" | quoted
  section environment "$name"
  environment "$id"
  path=$(docker container inspect -f '{{json .Args}}' "$id" | grep -oE '/[^" ]+\.ya?ml' | tail -n 1)
  [ -n "$path" ] || path=$(setting_of "$id" REGISTRY_CONFIGURATION_PATH)
  config=''
  for place in $path /etc/docker/registry/config.yml /etc/distribution/config.yml; do
    config=$(from_container "$id" "$place")
    [ -z "$config" ] || break
  done
  section configuration "$name" "${place:-}"
  configuration <<<"$config"
  pem=$(setting_of "$id" REGISTRY_HTTP_TLS_CERTIFICATE)
  [ -n "$pem" ] || pem=$(tls_path "$id" certificate "$config")
  key=$(setting_of "$id" REGISTRY_HTTP_TLS_KEY)
  [ -n "$key" ] || key=$(tls_path "$id" key "$config")
  if [ -n "$pem" ]; then
    section certificate "$name" "$pem"
    from_container "$id" "$pem" | certificates | quoted
    section key "$name" "$key"
    docker cp -L "$id:$key" - 2>/dev/null | tar -tvf - 2>/dev/null | awk '{ print "mode=" $1 }' | quoted
  fi
  root=$(setting_of "$id" REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY)
  [ -n "$root" ] || root=$(awk '$1 == "rootdirectory:" { gsub(/["\047]/, "", $2); print $2; exit }' <<<"$config")
  root=${root:-/var/lib/registry}
  root=${root%/}
  while read -r kind source target; do
    case $root/ in "${target%/}"/*) source=$source${root#"${target%/}"} ;; *) continue ;; esac
    [ -d "$source" ] || continue
    section data "$name" "$source" "$root"
    fact kind "$kind"
    # Where it is a link, what it points to is looked at.
    source=$(readlink -m "$source")
    fact owner "$(stat -c %u:%g "$source")"
    fact repositories "$(find "$source/docker/registry/v2/repositories" -type d -name _manifests 2>/dev/null | wc -l)"
    fact used_kib "$(timeout "$DU_SECONDS" du -sk "$source" 2>/dev/null | cut -f 1)"
    df -PB1 "$source" | awk 'NR == 2 { print "| size=" $2; print "| free=" $4 }'
    # Others' things beside the registry's own.
    find "$source" -mindepth 1 -maxdepth 1 ! -name docker ! -name scheduler-state.json -printf 'beside=%f\n' | head -n 20 | quoted
    break
  done < <(docker container inspect -f '{{range .Mounts}}{{.Type}} {{.Source}} {{.Destination}}{{"\n"}}{{end}}' "$id" | awk '{ print length($3), $0 }' | sort -rn | cut -d ' ' -f 2-)
  section pulls "$name"
  # The access log of one that was started with --log-opt none, or by another driver, cannot be read.
  docker logs --tail "$LOG_LINES" "$id" 2>&1 |
    sed -nE 's/^([0-9a-fA-F.:]+) - [^"]*"(GET|HEAD) \/v2\/[^" ]+\/manifests\/[^"]*" 200.*/\1/p' |
    sort | uniq -c | sort -rn | head -n 200 | awk '{ print $2 " " $1 }' | quoted
}

json_list() { # file key: a list of texts, on one line
  tr -d '\n\r\t' <"$1" 2>/dev/null | grep -oE "\"$2\"[[:space:]]*:[[:space:]]*\[[^]]*\]" | head -n 1 | sed -E 's/^[^[]*//' | without_logins
}

the_host() {
  section host
  fact name "$(uname -n)"
  # shellcheck source=/dev/null
  fact os "$(. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME:-}")"
  fact firewalld "$(active firewalld)"
  fact iptables "$(active iptables)"
  fact docker_stopped "$(command -v dockerd >/dev/null && [ "$(active docker)" = no ] && echo yes)"
  fact docker_distribution "$(active docker-distribution)"
  fact podman_registry "$(podman ps --format '{{.Names}} {{.Image}}' 2>/dev/null | grep -E '/(registry|distribution)(:|@|$)' | cut -d ' ' -f 1 | tr '\n' ' ')"
  fact now "$(date +%s)"
  section networks
  ip -o addr show scope global 2>/dev/null | awk '$2 !~ /^(docker|br-|veth|cni|virbr|podman)/ { print $4 }' | quoted
}

the_firewall() {
  section iptables
  iptables-save 2>/dev/null | quoted
  section nft
  nft list ruleset 2>/dev/null | quoted
  section firewalld
  if [ "$(active firewalld)" = yes ]; then
    firewall-cmd --list-all-zones 2>/dev/null | quoted
  fi
}

the_client() {
  local file url host
  file=/etc/docker/daemon.json
  section daemon-json
  if [ -e "$file" ]; then
    fact exists yes
    fact mirrors "$(json_list "$file" registry-mirrors)"
    fact insecure "$(json_list "$file" insecure-registries)"
  fi
  section dockerd
  pgrep -af '(^|/)dockerd( |$)' | grep -oE -e '--(registry-mirror|insecure-registry)[= ][^ ]+' | without_logins | quoted
  section docker
  fact version "$(docker version -f '{{.Server.Version}}' 2>/dev/null)"
  fact store "$(docker info -f '{{.DriverStatus}}' 2>/dev/null | grep -o io.containerd.snapshotter | head -n 1)"
  fact mirrors "$(docker info -f '{{json .RegistryConfig.Mirrors}}' 2>/dev/null | without_logins)"
  for file in /etc/docker/certs.d/*/*.crt; do
    [ -e "$file" ] || continue
    section trust "$file"
    certificates <"$file" | quoted
  done
  section hosts-toml
  for file in /etc/docker/certs.d/docker.io/hosts.toml /etc/docker/certs.d/_default/hosts.toml; do
    [ -e "$file" ] || continue
    grep -E '^[[:space:]]*(\[host\.|ca[[:space:]]*=|skip_verify[[:space:]]*=)' "$file" | without_logins | quoted
  done
  docker info -f '{{range .RegistryConfig.Mirrors}}{{println .}}{{end}}' 2>/dev/null | while read -r url; do
    [ -n "$url" ] || continue
    section reach "$(without_logins <<<"${url%/}")"
    host=$(sed -E 's,^[a-z]+://,,; s,^[^/@]*@,,; s,[/].*,,; s,:[0-9]+$,,; s,^\[(.*)\]$,\1,' <<<"$url")
    fact address "$(getent ahosts "$host" 2>/dev/null | awk 'NR == 1 { print $1 }')"
    fact status "$(curl -gsSk --noproxy '*' --max-time 5 -o /dev/null -w '%{http_code}' "${url%/}/v2/" 2>&1 | tail -n 1)"
  done
}

the_host
the_firewall
if docker_may_be_asked && docker version >/dev/null 2>&1; then
  section docker-networks
  docker network ls -q --filter driver=bridge |
    xargs -r docker network inspect -f '{{range .IPAM.Config}}{{println .Subnet}}{{end}}' | grep . | quoted
  for id in $(registries); do one_registry "$id"; done
  the_client
fi
section end
