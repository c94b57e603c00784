# shellcheck shell=bash
# What every script on a host begins with. They stand in one directory there (components/host.py)
# and run as `bash SCRIPT STEP DIGEST apply|restore ARGUMENT…`; the digest only makes another
# version of a script another command.
# In a pipe no reader ends early (grep -q, head): with pipefail its writer's SIGPIPE is a failure.
set -euo pipefail
umask 022
PATH=$PATH:/usr/sbin:/sbin
STEP=$1
VERSION=$2
shift 2
SCRIPTS=${0%/*}
RECORDS=${SCRIPTS%/*}
BEFORE=$RECORDS/before
UNDO=$RECORDS/undo
DIRECTORIES=$RECORDS/directories
STAMPS=$RECORDS/stamps
# What the running step watches. It stands until the step has left its stamp, so one that did not end well is known.
WATCHED=$STAMPS/.$STEP.began
outcome=

die() {
  printf '%s: %s\n' "$STEP" "$*" >&2
  exit 1
}

take_lock() {
  exec 9>>"$RECORDS/lock"
  flock -w 900 9 || die "an earlier step still runs on this host after 15 minutes: find what holds $RECORDS/lock (fuser) and end it"
}

# A step runs in a process of its own, begun here, after which this one leaves its stamp.
case $1$VERSION in
  apply[0-9a-f]*)
    bash "$0" "$STEP" "stamp $VERSION" "$@"
    # shellcheck source=leave_stamp.sh
    . "$SCRIPTS/leave_stamp.sh"
    exit
    ;;
esac

# A killed `up` may have left a script running here: this one waits until it is through.
# Descriptor 9 is the lock; what a script runs in turn (leave.sh) has it already.
if ! { true >&9; } 2>/dev/null; then take_lock; fi
case $VERSION in
  'stamp '*)
    install -d -m 0700 "$STAMPS"
    case $VERSION in
      *+*) printf 'stamp\t%s\t%s\n' "$STEP" "${VERSION#*+}" >"$WATCHED" ;;
      *) printf 'stamp\t%s\t0\n' "$STEP" >"$WATCHED" ;;
    esac
    ;;
esac

# Has previews look at a fact of this host, and this step run again where it is no longer as wanted. To be called once
# the step has brought it about.
#   watch file PATH shown|secret    as it is when the step ends; a shown one's lines are kept, so that changes can be shown
#   watch directory PATH UID:GID
#   watch package NAME [VERSION]
#   watch service|timer NAME        active and enabled
#   watch nft 'FAMILY TABLE' shown  as it is when the step ends
watch() { # kind name [wanted]
  local kind=$1 name=$2 wanted=${3:--}
  case $kind in
    service | timer) name=$name.$kind kind=unit wanted='active enabled' ;;
    package) [ "$wanted" != - ] || wanted=installed ;;
  esac
  # Nothing is watched while a step is undone.
  [ ! -e "$WATCHED" ] || printf '%s\t%s\t%s\n' "$kind" "$name" "$wanted" >>"$WATCHED"
}

# To be called before anything is changed: what undoes this step is then known, however it ends.
keep_undo() { # the arguments that restore will get
  install -d -m 0700 "$UNDO"
  printf ' %q' exec bash "$0" "$STEP" - restore "$@" >"$UNDO/.$STEP"
  mv -f "$UNDO/.$STEP" "$UNDO/$STEP"
}

forget_undo() {
  rm -f "$UNDO/$STEP"
  forget_stamp "$STEP"
}

forget_stamp() { # step
  rm -rf "${STAMPS:?}/$1" "${STAMPS:?}/$1.texts" "${STAMPS:?}/.$1.began"
}

record_of() { # path
  printf '%s/%s' "$BEFORE" "$(printf '%s' "$1" | sed 's/%/%25/g; s,/,%2F,g')"
}

is_remembered() { [ -e "$(record_of "$1")" ] || [ -e "$(record_of "$1").absent" ]; } # path

# Keeps what stood at a path before the first change, with mode, owner and time.
remember() { # path
  local record dir
  ! is_remembered "$1" || return 0
  record=$(record_of "$1")
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
  case $2 in
    *[4567]) watch file "$1" shown ;;
    *) watch file "$1" secret ;;
  esac
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
