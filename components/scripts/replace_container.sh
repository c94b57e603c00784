# shellcheck shell=bash
# Starts a cache in the place of a container that somebody started by hand: that one is stopped and kept, with
# its restart policy on record, and serves again where the cache does not answer, and after a destroy.
# Standard input: the id of the cache's container, then the CA, or nothing.
# apply OTHER OURS DATA URL SECONDS
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

action=$1 other=$2 ours=$3 data=$(readlink -m "$4") url=$5 seconds=$6
# A line: id, restart policy, whether it ran (true or false), its user (- for the image's).
REPLACED=$RECORDS/replaced-$STEP
# registry_directory.sh wrote whose the data was before.
OWNER=$RECORDS/owner-of-configuration-${STEP#replace-}
STOP_SECONDS=2

is_there() { docker container inspect "$1" >/dev/null 2>&1; } # container
runs() { [ "$(docker container inspect -f '{{.State.Running}}' "$1" 2>/dev/null)" = true ]; }
label_of() { docker container inspect -f "{{index .Config.Labels \"$2\"}}" "$1" 2>/dev/null || true; }
now() { date +%s%N; }

# Containers that cannot be stopped and started again.
refuse_what_does_not_come_back() {
  [ "$(docker container inspect -f '{{.HostConfig.AutoRemove}}' "$other")" = false ] ||
    die "$other was started with --rm, and would be gone once stopped: take it out of the stack's \`replaces\`, and stop it yourself"
  [ -z "$(label_of "$other" com.docker.swarm.task.id)" ] ||
    die "$other is a task of a swarm service, which would start another one: take it out of the stack's \`replaces\`, and remove the service yourself"
}

note_other() {
  local id
  id=$(docker container inspect -f '{{.Id}}' "$other")
  [ ! -e "$REPLACED" ] || [ "$(cut -d ' ' -f 1 "$REPLACED")" != "$id" ] || return 0
  docker container inspect -f '{{.Id}} {{or .HostConfig.RestartPolicy.Name "no"}}{{with .HostConfig.RestartPolicy.MaximumRetryCount}}:{{.}}{{end}} {{.State.Running}} {{or .Config.User "-"}}' "$other" >"$REPLACED.new"
  mv -f "$REPLACED.new" "$REPLACED"
}

# What the other wrote since its data was given to the cache's user.
take_data_over() {
  find "$data" \( ! -uid 1000 -o ! -gid 1000 \) -exec chown -h 1000:1000 {} +
}

give_back() {
  local id policy ran user
  if is_there "$ours"; then
    # Else Docker starts both at its next start.
    docker update --restart=no "$ours" >/dev/null
    docker stop -t "$STOP_SECONDS" "$ours" >/dev/null
  fi
  [ -e "$REPLACED" ] || return 0
  read -r id policy ran user <"$REPLACED"
  if ! is_there "$id"; then
    outcome="$other is gone, and so cannot be started again"
    return 0
  fi
  case $user in - | 0 | 0:* | root | root:*) ;; *) [ ! -e "$OWNER" ] || chown -R "$(cat "$OWNER")" "$data" ;; esac
  docker update --restart="$policy" "$id" >/dev/null ||
    echo "$other does not get its restart policy $policy back: the reason is above" >&2
  outcome="$other stays stopped, as it was"
  [ "$ran" = true ] || return 0
  docker start "$id" >/dev/null || die "$other does not start again: see the lines above"
  outcome="$other serves again"
}

case $action in
  apply)
    ca=$(mktemp)
    trap 'rm -f "$ca"' EXIT
    read -r _
    cat >"$ca"
    keep_undo "$other" "$ours" "$data" "$url" "$seconds"
    # An attempt that failed has taken it away.
    docker update --restart=always "$ours" >/dev/null
    stopped=''
    if is_there "$other"; then
      refuse_what_does_not_come_back
      note_other
      docker update --restart=no "$other" >/dev/null
      if runs "$other"; then
        stopped=$(now)
        docker stop -t "$STOP_SECONDS" "$other" >/dev/null
      fi
      runs "$ours" || take_data_over
    fi
    if ! docker start "$ours" >/dev/null || ! bash "$SCRIPTS/answers.sh" "$STEP" - apply "$url" "$ours" "$seconds" <"$ca"; then
      give_back
      die "$ours did not come up in the place of $other: the reason is above. $outcome"
    fi
    if [ -n "$stopped" ]; then
      gap=$((($(now) - stopped) / 10000000))
      printf '%s: stopped and kept; %s serves in its place, after %d.%02d s without either\n' "$other" "$ours" $((gap / 100)) $((gap % 100))
    elif is_there "$other"; then
      echo "$other: stopped before; $ours serves in its place"
    else
      echo "$other: not on this host (any more); $ours serves"
    fi
    ;;
  restore)
    outcome=''
    if ! is_there "$ours" || [ "$(label_of "$ours" registry-cache.replaces)" = "$other" ]; then
      give_back
    else
      # A cache runs there that replaces nothing: the stack forgot about the other one.
      outcome="$other stays stopped, since $ours goes on in its place (docker rm $other takes it away)"
    fi
    rm -f "$REPLACED"
    forget_undo
    echo "${outcome:-nothing was stopped}"
    ;;
esac
