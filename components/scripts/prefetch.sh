# shellcheck shell=bash
# Pulls images into this mirror's caches. Standard input: what the package puller reads.
# apply
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

action=$1
if [ "$action" = restore ]; then
  forget_undo
  exit 0
fi
keep_undo "${@:2}"
find_python
cd "$SCRIPTS"
"$python" -B -s -E -m puller
