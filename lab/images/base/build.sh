#!/bin/bash
# A root file system from the packages in PIECE/packages.txt (one a line), imported as image IMAGE.
# The sources are the machine's own; the Debian release is the one whose Docker 20.10 the lab offers.
set -euo pipefail
: "${OUT:?}" "${IMAGE:?}" "${SOURCES:?}" "${PIECE:?}"
suite=bookworm

for release in "$suite" "$suite-updates" "$suite-security"; do
    # shellcheck disable=SC2016  # apt's own placeholders
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' 'Origin: Debian' "Codename: $release" | sort -u
done >"$OUT/sources.list"
if ! grep -q "^deb .* $suite " "$OUT/sources.list"; then
    echo "this machine's package sources have no Debian $suite, of which the lab's hosts are made" >&2
    exit 1
fi
# Nothing is kept of the packages' documentation, or of apt's own lists: the hosts never see apt.
mmdebstrap --quiet --variant=minbase --mode=root \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include="$(paste -sd, "$SOURCES/$PIECE/packages.txt")" \
    "$suite" - "$OUT/sources.list" | docker import - "$IMAGE"
