# shellcheck shell=bash
# What every script on a host begins with: components/host.py puts it in front.
# Run as `bash -c "<this> <script>" STEP apply|restore ARG…`.
set -euo pipefail
umask 022
PATH=$PATH:/usr/sbin:/sbin
STEP=${0##*/}
outcome=
RECORDS=/var/lib/registry-cache
BEFORE=$RECORDS/before
UNDO=$RECORDS/undo

die() {
  printf '%s: %s\n' "$STEP" "$*" >&2
  exit 1
}

# The undo is the script of the version that made the change, kept on the host:
# a destroy undoes exactly what was done, and a reinstalled host has nothing to undo.
keep_undo() { # the arguments that restore will get
  install -d -m 0700 "$RECORDS" "$UNDO"
  {
    printf 'set -- restore'
    [ $# -eq 0 ] || printf ' %q' "$@"
    printf '\n%s\n' "$BASH_EXECUTION_STRING"
  } >"$UNDO/.$STEP.new"
  mv -f "$UNDO/.$STEP.new" "$UNDO/$STEP"
}

forget_undo() {
  rm -f "$UNDO/$STEP"
  rmdir "$BEFORE" "$UNDO" "$RECORDS" 2>/dev/null || true
}

record_of() { # path
  printf '%s/%s' "$BEFORE" "$(printf '%s' "$1" | sed 's/%/%25/g; s,/,%2F,g')"
}

# Keeps what stood at a path before the first change, with mode, owner and time.
remember() { # path
  local record dir
  record=$(record_of "$1")
  [ ! -e "$record" ] && [ ! -e "$record.absent" ] || return 0
  install -d -m 0700 "$RECORDS" "$BEFORE"
  if [ -e "$1" ]; then
    cp -a "$1" "$record.new"
    mv -f "$record.new" "$record"
    return 0
  fi
  dir=$(dirname "$1")
  while [ ! -d "$dir" ]; do
    printf '%s\n' "$dir"
    dir=$(dirname "$dir")
  done >"$record.absent.new"
  mv -f "$record.absent.new" "$record.absent"
}

# Puts back what stood at a path, and takes away the directories that were made for it.
put_back() { # path
  local record dir
  record=$(record_of "$1")
  if [ -e "$record" ]; then
    cp -a "$record" "$1.registry-cache"
    mv -f "$1.registry-cache" "$1"
    rm -f "$record"
  elif [ -e "$record.absent" ]; then
    rm -f "$1"
    while read -r dir; do
      rmdir "$dir" 2>/dev/null || true
    done <"$record.absent"
    rm -f "$record.absent"
  fi
}

# Gives up what is known of a path: it stays as it is now.
forget() { # path
  rm -f "$(record_of "$1")" "$(record_of "$1").absent"
}

# Writes standard input to a path if that changes anything, and leaves in $outcome
# whether it did. Not for use in $(…): there bash forgets `set -e`.
put_file() { # path mode owner:group
  local new=$1.registry-cache
  remember "$1"
  mkdir -p "$(dirname "$1")"
  (umask 077 && cat >"$new")
  chmod "$2" "$new"
  chown "$3" "$new"
  if [ -e "$1" ] && cmp -s "$new" "$1" && [ "$(stat -c '%a %U:%G %u:%g' "$new")" = "$(stat -c '%a %U:%G %u:%g' "$1")" ]; then
    rm -f "$new"
    outcome=unchanged
    return 0
  fi
  mv -f "$new" "$1"
  if command -v restorecon >/dev/null; then restorecon "$1" || true; fi
  # shellcheck disable=SC2034  # for the script that follows
  outcome=changed
}

