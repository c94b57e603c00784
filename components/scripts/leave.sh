# shellcheck shell=bash
# The last step of a destroy on a host: undoes what is still to be undone (steps that failed are in
# no state, so no destroy asks for them), newest first, and takes these scripts away.
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

if [ -d "$UNDO" ]; then
  while read -r step; do bash "$UNDO/$step" </dev/null; done < <(ls -t "$UNDO")
fi
rm -rf "${SCRIPTS:?}" "${RECORDS:?}/directories" "$RECORDS/stamps" "$RECORDS/containers" "$RECORDS/lock"
rmdir "$BEFORE" "$UNDO" "$RECORDS" 2>/dev/null || true
