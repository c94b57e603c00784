# shellcheck shell=bash
# Pulls images into this mirror's caches. Standard input: what the package puller reads.
# apply
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

action=$1
[ "$action" = apply ] || exit 0
find_python
cd "$SCRIPTS"
# Other steps of this host need not wait for a download that somebody broke off.
exec 9>&-
exec "$python" -B -s -E -m puller
