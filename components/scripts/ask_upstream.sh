# shellcheck shell=bash
# Asks an upstream from the mirror, by the way that the cache takes (proxy, CA, login, tokens): a registry in proxy
# mode answers "not found" to its clients whatever its upstream told it. Asks for a manifest, or, without a
# repository, whether the login is known. Prints a line: `ok`, `absent`, or a kind of refusal and what was said,
#   rate_limited|unauthorized|unreachable|tls|server_error|other WHAT
# (the kinds are those of the metrics' registry_cache_upstream_refusal).
# CONTAINER UPSTREAM_URL [REPOSITORY REFERENCE]
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
container=$1 upstream=$2 repository=${3-} reference=${4-}
configuration=/etc/registry-cache/${container#registry-cache-}
who=${upstream#*://}
address=$upstream/v2/
[ -z "$repository" ] || address=$upstream/v2/$repository/manifests/$reference
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
while read -r setting; do
  name=${setting%%=*}
  case ${name,,} in http_proxy | https_proxy | no_proxy) export "${name,,}=${setting#*=}" ;; esac
done < <(docker inspect -f '{{range .Config.Env}}{{println .}}{{end}}' "$container")
curl_options=(--silent --show-error --max-time 15 -o "$work/body" --dump-header "$work/headers" -w '%{http_code}')
if [ -e "$configuration/upstream-ca.pem" ]; then
  cat "$configuration/upstream-ca.pem" /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/certs/ca-certificates.crt \
    >"$work/trusted" 2>/dev/null || true
  curl_options+=(--cacert "$work/trusted")
fi
# A manifest of any kind: some registries have the image and deny it to who takes another kind only.
for kind in oci.image.index.v1 oci.image.manifest.v1 docker.distribution.manifest.list.v2 docker.distribution.manifest.v2; do
  curl_options+=(--header "Accept: application/vnd.$kind+json")
done

# What the registry logs in with, as a line of curl's configuration, where JSON's escapes are good ones too.
login() {
  {
    if [ -e "$configuration/credentials" ]; then sh "$configuration/credentials" get </dev/null; fi
    sed -n 's/^proxy: //p' "$configuration/config.yml"
  } | sed -n 's/^{"[A-Za-z]*": "\(.*\)", "[A-Za-z]*": "\(.*\)"}$/user = "\1:\2"/p' | sed '/^user = ":"$/d'
}

tell() { # CODE WHO
  case $1 in
    200) echo ok ;;
    404) echo absent ;;
    429) echo "rate_limited $2 answers 429" ;;
    401 | 403 | 407) echo "unauthorized $2 answers $1" ;;
    5??) echo "server_error $2 answers $1" ;;
    *) echo "other $2 answers $1" ;;
  esac
}

ask() { # WHO CURL'S ARGUMENT…: leaves the HTTP status in $answer; curl's configuration on standard input
  local status=0 asked=$1
  shift
  answer=$(curl "${curl_options[@]}" --config - "$@" 2>"$work/error") || status=$?
  case $status in
    0) return 0 ;;
    35 | 51 | 53 | 54 | 58 | 59 | 60 | 66 | 77 | 80 | 82 | 83 | 90 | 91) echo "tls $asked: $(head -n 1 "$work/error")" ;;
    # curl tells of a proxy's refusal as of a connection that did not come about.
    *)
      refusal=$(sed -n 's/.*\(HTTP code\|tunnel failed, response\) \([0-9]*\).*/\2/p' "$work/error")
      if [ -n "$refusal" ]; then tell "$refusal" 'the proxy'; else echo "unreachable $(head -n 1 "$work/error")"; fi
      ;;
  esac
  exit 0
}

method=(--head)
[ -n "$repository" ] || method=(--get)
ask "$who" "${method[@]}" "$address" </dev/null
if [ "$answer" = 401 ]; then
  challenge=$(sed -n 's/\r$//; s/^www-authenticate: *//Ip' "$work/headers")
  case ${challenge,,} in
    bearer*)
      realm=$(sed -n 's/.*realm="\([^"]*\)".*/\1/Ip' <<<"$challenge")
      service=$(sed -n 's/.*service="\([^"]*\)".*/\1/Ip' <<<"$challenge")
      question=(--get --data-urlencode "service=$service")
      [ -z "$repository" ] || question+=(--data-urlencode "scope=repository:$repository:pull")
      # A login goes nowhere unencrypted.
      case $realm in https:*) login=$(login) ;; *) login='' ;; esac
      host=${realm#*://}
      ask "${host%%/*}" "${question[@]}" "$realm" < <(printf '%s\n' "$login")
      [ "$answer" = 200 ] || { tell "$answer" "${host%%/*}" && exit 0; }
      token=$(sed -n 's/.*"\(access_\)\{0,1\}token" *: *"\([^"]*\)".*/\2/p' "$work/body")
      ask "$who" "${method[@]}" "$address" < <(printf 'header = "Authorization: Bearer %s"\n' "$token")
      ;;
    basic*) ask "$who" "${method[@]}" "$address" < <(login) ;;
  esac
fi
tell "$answer" "$who"
