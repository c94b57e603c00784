# shellcheck shell=bash
# The configuration and the data directory of one cache; standard input: its config.yml.
# apply CONFIGURATION DATA KEEP(yes|no) SHOWN(shown|secret)
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

# Where the directory is a link, what it points to is given to the cache's user, and back.
action=$1 configuration=$2 data=$(readlink -m "$3") keep=$4 shown=$5
REGISTRY_USER=1000:1000
OWNER=$RECORDS/owner-of-$STEP
# Tells a cache's own directory, also one that an earlier destroy kept, from one that others made.
MADE_BY_US=$data/.registry-cache
DIRECTORY=$RECORDS/directory-of-$STEP
CONTAINER=registry-cache-${STEP#configuration-}
STAND_IN=registry-cache.stand-in

remove_stand_ins() {
  local found
  found=$(docker ps -aq --filter "label=$STAND_IN") || return 0
  # shellcheck disable=SC2086
  [ -z "$found" ] || docker rm -f $found >/dev/null
  ! docker image inspect "$STAND_IN" >/dev/null 2>&1 || docker image rm "$STAND_IN" >/dev/null
}

# Makes way for our container where somebody took it away, or made another one by its name. The provider fails to
# replace a container that is gone (pulumi-docker#703): something that never runs stands in for it, by its id as name.
make_way() {
  local known now
  remove_stand_ins
  [ -e "$RECORDS/containers/$CONTAINER" ] || return 0
  known=$(cat "$RECORDS/containers/$CONTAINER")
  now=$(docker ps -aq --no-trunc --filter "name=^/$CONTAINER\$")
  [ "$now" != "$known" ] || return 0
  if [ -n "$now" ]; then
    echo "$CONTAINER: removing the container ${now:0:12} of $(docker inspect --type container -f '{{.Config.Image}}' "$now"), which is not the cache"
    docker rm -f "$now" >/dev/null
  fi
  if [ -z "$(docker ps -aq --no-trunc --filter "id=$known")" ]; then
    tar -cf - -T /dev/null | docker import - "$STAND_IN" >/dev/null
    docker create --name "$known" --label "$STAND_IN" "$STAND_IN" none >/dev/null
  fi
}
case $action in
  apply)
    keep_undo "$configuration" "$data" "$keep" "$shown"
    # What a cache leaves behind when it moves stays as it is: its container may still run on it.
    if [ -e "$DIRECTORY" ] && [ "$(cat "$DIRECTORY")" != "$data" ]; then
      forget "$(cat "$DIRECTORY")"
      rm -f "$OWNER"
    fi
    echo "$data" >"$DIRECTORY"
    ours=yes
    if [ ! -d "$data" ]; then
      remember "$data"
    elif [ ! -e "$(record_of "$data").absent" ] && [ ! -e "$MADE_BY_US" ]; then
      ours=no
      if [ ! -e "$OWNER" ]; then
        stat -c %u:%g "$data" >"$OWNER.new"
        mv -f "$OWNER.new" "$OWNER"
      fi
    fi
    mkdir -p "$data"
    [ "$ours" = no ] || touch "$MADE_BY_US"
    # What an earlier cache wrote as root must be writable for one that runs as user 1000.
    if [ -n "$(find "$data" \( ! -uid 1000 -o ! -gid 1000 \) -print -quit)" ]; then
      chown -R "$REGISTRY_USER" "$data"
      again=''
      [ ! -e "$OWNER" ] || again=", until a destroy gives it back to $(cat "$OWNER")"
      echo "$data: belongs to $REGISTRY_USER$again"
    fi
    watch directory "$data" "$REGISTRY_USER"
    put_file "$configuration" 400 "$REGISTRY_USER"
    watch file "$configuration" "$shown"
    make_way
    watch holder "$CONTAINER" ours
    echo "$configuration: $outcome"
    ;;
  restore)
    remove_stand_ins
    put_back "$configuration"
    if [ -e "$OWNER" ]; then
      chown -R "$(cat "$OWNER")" "$data"
    # One that others made has no owner on record where the step was killed before it noted one.
    elif [ "$keep" = no ] && { [ -e "$(record_of "$data").absent" ] || [ -e "$MADE_BY_US" ]; }; then
      rm -rf "${data:?}"
      put_back "$data"
    else
      forget "$data"
    fi
    rm -f "$DIRECTORY"
    forget_undo
    rm -f "$OWNER"
    if [ -d "$data" ]; then echo "$data: kept"; else echo "$data: removed"; fi
    ;;
esac
