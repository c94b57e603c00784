# shellcheck shell=sh
# Puts the scripts that come on standard input in place, all or none (components/host.py packs them). Those in
# folders have the folder in their name.
# scripts DIGEST NAME@DIGEST…
set -eu
umask 077
new=/var/lib/registry-cache/scripts.new
rm -rf "$new"
mkdir -p "$new"
cd "$new"
base64 -d >packed
gzip -t <packed
gzip -dc <packed | awk '
  /^==== / {
    if (file) close(file)
    file = $2
    if (match(file, /^.*\//)) system("mkdir -p " substr(file, 1, RLENGTH))
    next
  }
  { print > file }'
rm packed
rm -rf "${new%.new}"
mv "$new" "${new%.new}"
exec bash "${new%.new}/scripts.sh" "$1" "$2" apply
