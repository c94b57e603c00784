#!/bin/bash
# The authority of the lab's 'internet', and one certificate for all names it answers for (pki/names.txt).
set -euo pipefail
: "${OUT:?}" "${SOURCES:?}"

umask 077
curve=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
openssl req -x509 "${curve[@]}" -days 3650 -subj '/CN=Lab Internet CA' \
    -addext 'keyUsage=critical,keyCertSign,cRLSign' \
    -keyout "$OUT/ca.key" -out "$OUT/ca.crt"
sed 's/^/DNS:/' "$SOURCES/pki/names.txt" | paste -sd, >"$OUT/names"
{
    printf 'subjectAltName=%s\n' "$(cat "$OUT/names")"
    echo 'extendedKeyUsage=serverAuth'
    echo 'basicConstraints=critical,CA:FALSE'
} >"$OUT/extensions"
openssl req "${curve[@]}" -subj '/CN=Lab Internet' -keyout "$OUT/server.key" -out "$OUT/server.csr"
openssl x509 -req -in "$OUT/server.csr" -CA "$OUT/ca.crt" -CAkey "$OUT/ca.key" -CAcreateserial \
    -days 3650 -extfile "$OUT/extensions" -out "$OUT/server.crt"
rm "$OUT/server.csr" "$OUT/extensions" "$OUT/names"
