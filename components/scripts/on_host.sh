# shellcheck shell=bash
# What every script on a host begins with. They stand in one directory there (components/host.py)
# and run as `bash SCRIPT STEP DIGEST apply|restore ARGUMENT…`; the digest only makes another
# version of a script another command.
# In a pipe no reader ends early (grep -q, head): with pipefail its writer's SIGPIPE is a failure.
set -euo pipefail
umask 022
PATH=$PATH:/usr/sbin:/sbin
STEP=$1
shift 2
SCRIPTS=${0%/*}
RECORDS=${SCRIPTS%/*}
BEFORE=$RECORDS/before
UNDO=$RECORDS/undo
DIRECTORIES=$RECORDS/directories
outcome=

die() {
  printf '%s: %s\n' "$STEP" "$*" >&2
  exit 1
}

# A killed `up` may have left a script running here: this one waits until it is through.
# Descriptor 9 is the lock; what a script runs in turn (leave.sh) has it already.
if ! { true >&9; } 2>/dev/null; then
  exec 9>>"$RECORDS/lock"
  flock -w 900 9 || die "an earlier step still runs on this host after 15 minutes: find what holds $RECORDS/lock (fuser) and end it"
fi

# To be called before anything is changed: what undoes this step is then known, however it ends.
keep_undo() { # the arguments that restore will get
  install -d -m 0700 "$UNDO"
  printf ' %q' exec bash "$0" "$STEP" - restore "$@" >"$UNDO/.$STEP"
  mv -f "$UNDO/.$STEP" "$UNDO/$STEP"
}

forget_undo() {
  rm -f "$UNDO/$STEP"
}

record_of() { # path
  printf '%s/%s' "$BEFORE" "$(printf '%s' "$1" | sed 's/%/%25/g; s,/,%2F,g')"
}

# Keeps what stood at a path before the first change, with mode, owner and time.
remember() { # path
  local record dir
  record=$(record_of "$1")
  [ ! -e "$record" ] && [ ! -e "$record.absent" ] || return 0
  install -d -m 0700 "$BEFORE"
  if [ -e "$1" ]; then
    cp -a "$1" "$record.new"
    mv -f "$record.new" "$record"
    return 0
  fi
  # Whatever makes these directories makes them for us, from the deepest one up.
  dir=$(dirname "$1")
  while [ ! -d "$dir" ]; do
    printf '%s\n' "$dir" >>"$DIRECTORIES"
    dir=$(dirname "$dir")
  done
  : >"$record.absent"
}

# Puts back what stood at a path, and takes away the directories that were made for it or others of ours.
put_back() { # path
  local record
  record=$(record_of "$1")
  if [ -e "$record" ]; then
    cp -a "$record" "$1.registry-cache"
    mv -f "$1.registry-cache" "$1"
    rm -f "$record"
  elif [ -e "$record.absent" ]; then
    rm -f "$1"
    rm -f "$record.absent"
  fi
  remove_empty_directories
}

remove_empty_directories() {
  local dir
  [ -e "$DIRECTORIES" ] || return 0
  # In reverse order the deeper ones come first.
  while read -r dir; do
    rmdir "$dir" 2>/dev/null || true
  done < <(LC_ALL=C sort -ru "$DIRECTORIES")
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


# Leaves in $python one that runs our services. EL 8 keeps its own out of PATH, CentOS 7 has none of 3 at first.
find_python() {
  for python in /usr/libexec/platform-python /usr/bin/python3 ''; do
    if [ -z "$python" ] || "$python" -c 'import sys; sys.exit(sys.version_info < (3, 6))' 2>/dev/null; then break; fi
  done
  if [ -z "$python" ]; then
    yum install -y -q python3 >&2
    python=/usr/bin/python3
  fi
}
