# shellcheck shell=bash
# What follows when the scripts of a host are in place: they are watched as all that is kept there.
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

while read -r file; do watch file "$file" secret; done < <(find "$SCRIPTS" -type f)
echo "scripts: in place"
