# shellcheck shell=bash
# The configuration and the data directory of one cache; standard input: its config.yml.
# apply CONFIGURATION DATA KEEP(yes|no)
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

action=$1 configuration=$2 data=$3 keep=$4
REGISTRY_USER=1000:1000
OWNER=$RECORDS/owner-of-$STEP
# Tells a cache's own directory, also one that an earlier destroy kept, from one that others made.
MADE_BY_US=$data/.registry-cache
DIRECTORY=$RECORDS/directory-of-$STEP
case $action in
  apply)
    keep_undo "$configuration" "$data" "$keep"
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
      [ -e "$OWNER" ] || stat -c %u:%g "$data" >"$OWNER"
    fi
    mkdir -p "$data"
    [ "$ours" = no ] || touch "$MADE_BY_US"
    # What an earlier cache wrote as root must be writable for one that runs as user 1000.
    if [ -n "$(find "$data" \( ! -uid 1000 -o ! -gid 1000 \) -print -quit)" ]; then chown -R "$REGISTRY_USER" "$data"; fi
    put_file "$configuration" 400 "$REGISTRY_USER"
    echo "$configuration: $outcome"
    ;;
  restore)
    put_back "$configuration"
    if [ -e "$OWNER" ]; then
      chown -R "$(cat "$OWNER")" "$data"
      rm -f "$OWNER"
    elif [ "$keep" = no ]; then
      rm -rf "${data:?}"
      put_back "$data"
    else
      forget "$data"
    fi
    rm -f "$DIRECTORY"
    forget_undo
    if [ -d "$data" ]; then echo "$data: kept"; else echo "$data: removed"; fi
    ;;
esac
