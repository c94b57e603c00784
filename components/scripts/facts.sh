# shellcheck shell=bash
# What of a host is watched, and how it is now. on_host.sh reads it to leave a stamp after each step, and a preview
# sends it along with observe.sh to see what differs from the stamps.
# A fact is a kind and a name. What is wanted of it stands in the stamp of the step that watches it; for a file, a
# table or a container's settings that is how it was when the step ended. Kinds, and what they are like:
#   file       mode, owner and digest          directory  owner           package    version, or installed
#   unit       active|… enabled|…              nft        digest          opening    open|closed
#   member     yes|no                          settings   digest          inside     digest
#   state      running|exited|…                holder     ours|another container|gone
#   configured our mirrors in daemon.json      mirrors    those of the running Docker
# A fact that cannot be told now (Docker does not run: its unit says so) has no value.
TAB=$'\t'
# A step and a look may come by logins of other languages, and what they sort and are told must be the same.
export LC_ALL=C
declare -A FOUND=() ABOUT=()
PRESENT=()

encoded() { # path
  local name=${1//%/%25}
  printf '%s' "${name//\//%2F}"
}

# The counters and what is in a set for a while are left out.
nft_listing() { # table
  # shellcheck disable=SC2086
  nft -s list table $1 2>/dev/null | awk '
    /^[ \t]*flags .*timeout/ { passing = 1 }
    passing && /elements = \{/ { skip = 1 }
    skip { if (/\}/) skip = 0; next }
    /^[ \t]*\}/ { passing = 0 }
    { print }'
}

# Only what the program sets, a line each: Docker's own defaults change with its versions. The names are those of
# Docker's own program: with one that only its JSON has, all that is not set fails.
SETTINGS='container {{.Name}} {{.ID}} {{.State.Status}} {{.State.Pid}} generation={{index .Config.Labels "registry-cache.generation"}}
image {{.Image}}
user {{.Config.User}}
entrypoint {{json .Config.Entrypoint}}
command {{json .Config.Cmd}}
environment {{json .Config.Env}}
labels {{json .Config.Labels}}
health check {{json .Config.Healthcheck}}
restart {{.HostConfig.RestartPolicy.Name}}
network {{.HostConfig.NetworkMode}}
ports {{json .HostConfig.PortBindings}}
volumes {{json .HostConfig.Binds}}
read-only {{.HostConfig.ReadonlyRootfs}}
privileged {{.HostConfig.Privileged}}
capabilities +{{json .HostConfig.CapAdd}} -{{json .HostConfig.CapDrop}}
security {{json .HostConfig.SecurityOpt}}
tmpfs {{json .HostConfig.Tmpfs}}
log {{.HostConfig.LogConfig.Type}} {{json .HostConfig.LogConfig.Config}}
limits {{.HostConfig.Memory}} {{.HostConfig.NanoCPUs}} {{.HostConfig.CPUQuota}}'
declare -A TEXTS=() IDS=() PIDS=() STATES=() GENERATIONS=() GONE=()

inspect_containers() { # name…
  local line name='' id state pid generation
  while IFS= read -r line; do
    case $line in
      'container /'*)
        read -r _ name id state pid generation <<<"$line"
        name=${name#/}
        IDS[$name]=$id STATES[$name]=$state PIDS[$name]=$pid TEXTS[$name]=''
        # shellcheck disable=SC2034  # for observe.sh
        GENERATIONS[$name]=${generation#generation=}
        ;;
      *'No such '*': '*) GONE[${line##*: }]=1 name='' ;;
      ?*) [ -z "$name" ] || TEXTS[$name]+=$line$'\n' ;;
    esac
  done < <(docker inspect --type container -f "$SETTINGS" "$@" 2>&1)
}

# What a running container sees of the files and directories that it was given: what stands at their paths now may
# be others.
inside() { # container
  local pid=${PIDS[$1]} bind source target seen=()
  while read -r bind; do
    source=${bind%%:*} target=${bind#*:}
    target=/proc/$pid/root${target%%:*}
    if [ -d "$source" ] || [ -d "$target" ]; then
      if [ "$source" -ef "$target" ]; then echo "$source"; else echo "another $source"; fi
    else
      seen+=("$target")
    fi
  done < <(sed -n 's/^volumes \[\(.*\)\]$/\1/p' <<<"${TEXTS[$1]}" | tr -d '"' | tr ',' '\n' | sort)
  [ ${#seen[@]} -eq 0 ] || sha256sum -- "${seen[@]}" 2>&1 | sed "s,/proc/$pid/root,," || true
}

look_at_files() { # path…
  local path index about digests regular=()
  for path; do
    if [ -L "$path" ]; then
      FOUND[file$TAB$path]='a link'
    elif [ -e "$path" ]; then
      PRESENT+=("$path")
      [ ! -f "$path" ] || regular+=("$path")
    else
      FOUND[file$TAB$path]=gone FOUND[directory$TAB$path]=gone
    fi
  done
  if [ ${#PRESENT[@]} -gt 0 ]; then
    mapfile -t about < <(stat -c '%a %u:%g' -- "${PRESENT[@]}")
    for index in "${!PRESENT[@]}"; do
      ABOUT[${PRESENT[index]}]=${about[index]}
      FOUND[directory$TAB${PRESENT[index]}]=${about[index]#* }
    done
  fi
  [ ${#regular[@]} -gt 0 ] || return 0
  mapfile -t digests < <(sha256sum -- "${regular[@]}")
  for index in "${!regular[@]}"; do
    FOUND[file$TAB${regular[index]}]="${ABOUT[${regular[index]}]} ${digests[index]%% *}"
  done
}

look_at_packages() { # name…
  local name version
  for name; do FOUND[package$TAB$name]=gone; done
  while IFS=$TAB read -r name version; do
    [ -z "$version" ] || FOUND[package$TAB$name]=$version
  done < <(rpm -q --qf '%{NAME}\t%{VERSION}\n' "$@")
}

look_at_units() { # name…
  local key value active='' enabled=''
  while IFS='=' read -r key value; do
    case $key in
      ActiveState) active=$value ;;
      UnitFileState) enabled=$value ;;
      '')
        [ $# -gt 0 ] || break
        case $active in reloading) active=active ;; esac
        case $enabled in enabled-runtime | static | alias | indirect | generated) enabled=enabled ;; esac
        FOUND[unit$TAB$1]="${active:-inactive} ${enabled:-absent}"
        shift
        ;;
    esac
  done < <(systemctl show -p ActiveState -p UnitFileState "$@" && echo)
}

is_active() { # unit
  case ${FOUND[unit$TAB$1]:-} in active' '*) return 0 ;; *) return 1 ;; esac
}

# The running Docker's mirrors: by its socket, since the docker command takes ten times as long.
live_mirror_list() {
  local answer
  if [ -S /var/run/docker.sock ] &&
    answer=$(curl -s --max-time 10 --unix-socket /var/run/docker.sock http://docker/info 2>/dev/null) &&
    [[ $answer == *'"Mirrors":'* ]]; then
    # The last: each of insecure-registries has a list of its own before it.
    answer=${answer##*'"Mirrors":'}
    case $answer in
      # An IPv6 address has brackets of its own.
      '["'*) answer=${answer#[} && answer=${answer%%'"]'*} && answer=${answer//\"/} && echo "${answer//,/ }" ;;
    esac
    return 0
  fi
  docker info -f '{{range .RegistryConfig.Mirrors}}{{println .}}{{end}}' | tr '\n' ' '
}

look_at_opening() { # firewalld|iptables|ip6tables NETWORK PORT
  local rule zone path=/org/fedoraproject/FirewallD1 name=org.fedoraproject.FirewallD1
  if [ "$1" = firewalld ]; then
    is_active firewalld.service || return 0
    rule=$(rich_rule "$2" "$3")
    zone=$(busctl call "$name" "$path" "$name" getDefaultZone) && zone=${zone#s } && zone=${zone//\"/}
    FOUND[opening$TAB$*]=closed
    [ "$(busctl call "$name" "$path" "$name.zone" queryRichRule ss "$zone" "$rule")" = 'b true' ] || return 0
    zone=$(busctl call "$name" "$path/config" "$name.config" getZoneByName s "$zone") && zone=${zone#o } && zone=${zone//\"/}
    [ "$(busctl call "$name" "$zone" "$name.config.zone" queryRichRule s "$rule")" = 'b true' ] || return 0
  else
    is_active "$1.service" || return 0
    rule=$(input_rule "$2" "$3")
    FOUND[opening$TAB$*]=closed
    # shellcheck disable=SC2086
    "$1" -w -C $rule 2>/dev/null || return 0
    grep -qxF -e "-I $rule" -e "-A $rule" "/etc/sysconfig/$1" || return 0
  fi
  FOUND[opening$TAB$*]=open
}

# Fills FOUND for the facts on standard input, a line each: kind, name, what is wanted.
look() {
  local kind name list first paths=() packages=() units=()
  local nft_tables=() containers=() openings=() members=() mirrors=''
  while IFS=$TAB read -r kind name _; do
    case $kind in
      file | directory | configured) paths+=("$name") ;;
      package) packages+=("$name") ;;
      unit) units+=("$name") ;;
      nft) nft_tables+=("$name") ;;
      settings | inside | state | holder) containers+=("$name") ;;
      opening) openings+=("$name") units+=("${name%% *}.service") ;;
      member) members+=("$name") ;;
      mirrors) mirrors=$name ;;
    esac
    case $kind in settings | inside | state | holder | mirrors) units+=(docker.service) ;; esac
  done
  [ ${#paths[@]} -eq 0 ] || look_at_files "${paths[@]}"
  [ ${#packages[@]} -eq 0 ] || look_at_packages "${packages[@]}"
  if [ ${#units[@]} -gt 0 ]; then
    mapfile -t units < <(printf '%s\n' "${units[@]}" | sort -u)
    look_at_units "${units[@]}"
  fi
  for name in ${nft_tables[@]+"${nft_tables[@]}"}; do
    list=$(nft_listing "$name") || list=''
    TEXTS[nft $name]=$list$'\n'
    if [ -n "$list" ]; then first=$(sha256sum <<<"$list") && FOUND[nft$TAB$name]=${first%% *}; else FOUND[nft$TAB$name]=gone; fi
  done
  for name in ${openings[@]+"${openings[@]}"}; do
    # shellcheck disable=SC2086
    look_at_opening $name
  done
  for name in ${members[@]+"${members[@]}"}; do
    case " $(id -nG "${name%% *}" 2>/dev/null) " in
      *" ${name#* } "*) FOUND[member$TAB$name]=yes ;;
      *) FOUND[member$TAB$name]=no ;;
    esac
  done
  # Asking a Docker that is stopped would start it, by its socket.
  is_active docker.service || return 0
  if [ -n "$mirrors" ]; then FOUND[mirrors$TAB$mirrors]=$(live_mirror_list); fi
  [ ${#containers[@]} -gt 0 ] || return 0
  mapfile -t containers < <(printf '%s\n' "${containers[@]}" | sort -u)
  inspect_containers "${containers[@]}"
  for name in "${containers[@]}"; do
    if [ -n "${GONE[$name]:-}" ]; then
      FOUND[settings$TAB$name]=gone FOUND[holder$TAB$name]=gone
    elif [ -n "${IDS[$name]:-}" ]; then
      first=$(sha256sum <<<"${TEXTS[$name]}")
      FOUND[settings$TAB$name]=${first%% *}
      FOUND[state$TAB$name]=${STATES[$name]}
      FOUND[holder$TAB$name]=ours
      if [ -e "$RECORDS/containers/$name" ] && [ "$(<"$RECORDS/containers/$name")" != "${IDS[$name]}" ]; then
        FOUND[holder$TAB$name]='another container'
      fi
      if [ "${PIDS[$name]}" != 0 ]; then
        first=$(inside "$name" | sha256sum)
        FOUND[inside$TAB$name]=${first%% *}
      fi
    fi
  done
}

# The text that a fact's value stands for, where it may be shown.
text_of() { # kind name
  case $1 in
    file) [ ! -f "$2" ] || cat -- "$2" ;;
    nft) printf '%s' "${TEXTS[nft $2]:-}" ;;
    settings) printf '%s' "${TEXTS[$2]:-}" ;;
  esac
}
