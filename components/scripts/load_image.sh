# shellcheck shell=bash
# Loads an image from an archive that was copied to this host. apply ARCHIVE IMAGE_ID
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

action=$1 archive=$2 image=$3
case $action in
  apply)
    keep_undo "$archive" "$image"
    if docker image inspect "$image" >/dev/null 2>&1; then
      echo "$image: nothing to do"
    else
      docker load -q -i "$archive" >&2
      docker image inspect "$image" >/dev/null || die "the archive does not hold $image"
      echo "$image: loaded"
    fi
    ;;
  restore)
    # The image stays, as Docker does.
    rm -f "$archive"
    forget_undo
    echo "$archive: removed"
    ;;
esac
