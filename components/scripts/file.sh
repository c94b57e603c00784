# shellcheck shell=bash
# Keeps one file: standard input is its content.
# apply PATH MODE OWNER:GROUP | restore PATH MODE OWNER:GROUP
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

action=$1 path=$2 mode=$3 owner=$4
case $action in
  apply)
    keep_undo "$path" "$mode" "$owner"
    put_file "$path" "$mode" "$owner"
    echo "$path: $outcome"
    ;;
  restore)
    put_back "$path"
    forget_undo
    echo "$path: as before"
    ;;
esac
