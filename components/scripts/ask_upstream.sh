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
upstream_place=${upstream#*://} upstream_place=${upstream_place%%/*}
address=$upstream/v2/
[ -z "$repository" ] || address=$upstream/v2/$repository/manifests/$reference
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
while read -r setting; do
  name=${setting%%=*}
  case ${name,,} in http_proxy | https_proxy | no_proxy) export "${name,,}=${setting#*=}" ;; esac
done < <(docker inspect -f '{{range .Config.Env}}{{println .}}{{end}}' "$container")
curl_options=(--silent --show-error --max-time 15 -o "$work/body" --dump-header "$work/headers"
  -w '%{http_code} %{redirect_url}')
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

# Leaves the HTTP status in $answer, and who gave it in $who; curl's configuration is on standard input. Follows
# redirects, as the registry does, and by itself: curl 7.29 would hand an Authorization on to whoever is next.
ask() { # ADDRESS METHOD CURL'S ARGUMENT…
  local status=0 address=$1 secret said next
  shift
  secret=$(cat)
  for _ in first 1 2 3 4 5; do
    who=${address#*://} who=${who%%[/?#]*} who=${who##*@}
    said=$(curl "${curl_options[@]}" --config - "$@" "$address" 2>"$work/error" < <(printf '%s\n' "$secret")) || status=$?
    [ "$status" = 0 ] || give_up "$status"
    answer=${said%% *} next=${said#* }
    case $answer in 301 | 302 | 303 | 307 | 308) ;; *) return 0 ;; esac
    # Not from an encrypted way to another.
    case $next in https://* | "${address%%://*}"://*) ;; *) return 0 ;; esac
    case $next in "${address%%://*}://$who"/*) ;; *) secret='' ;; esac
    address=$next
    set -- "$1"
  done
}

give_up() { # CURL'S EXIT STATUS
  local said refusal
  said=$(head -n 1 "$work/error")
  said=${said:-"curl: ($1)"}
  case $1 in
    35 | 51 | 53 | 54 | 58 | 59 | 60 | 66 | 77 | 80 | 82 | 83 | 90 | 91) echo "tls $who: $said" ;;
    # curl tells of a proxy's refusal as of a connection that did not come about.
    *)
      refusal=$(sed -n 's/.*\(HTTP code\|tunnel failed, response\) \([0-9]*\).*/\2/p' "$work/error")
      if [ -n "$refusal" ]; then tell "$refusal" 'the proxy'; else echo "unreachable $said"; fi
      ;;
  esac
  exit 0
}

method=--head
[ -n "$repository" ] || method=--get
ask "$address" "$method" </dev/null
# Where it was sent on to, nobody but the upstream itself says who gets its login.
if [ "$answer" = 401 ] && [ "$who" = "$upstream_place" ]; then
  challenges=$(sed -n 's/\r$//; s/^www-authenticate: *//Ip' "$work/headers")
  # Of several the one for tokens: it tells a wrong login as well, and serves without one.
  challenge=$(grep -i -m 1 '^bearer ' <<<"$challenges" || grep -i -m 1 '^basic' <<<"$challenges" || true)
  case ${challenge,,} in
    bearer*)
      realm=$(sed -n 's/.*realm="\([^"]*\)".*/\1/Ip' <<<"$challenge")
      service=$(sed -n 's/.*service="\([^"]*\)".*/\1/Ip' <<<"$challenge")
      question=(--get --data-urlencode "service=$service")
      [ -z "$repository" ] || question+=(--data-urlencode "scope=repository:$repository:pull")
      # A login goes nowhere unencrypted.
      case $realm in https:*) login=$(login) ;; *) login='' ;; esac
      ask "$realm" "${question[@]}" < <(printf '%s\n' "$login")
      [ "$answer" = 200 ] || { tell "$answer" "$who" && exit 0; }
      token=$(sed -n 's/.*"\(access_\)\{0,1\}token" *: *"\([^"]*\)".*/\2/p' "$work/body")
      ask "$address" "$method" < <(printf 'header = "Authorization: Bearer %s"\n' "$token")
      ;;
    basic*) ask "$address" "$method" < <(login) ;;
  esac
fi
tell "$answer" "$who"
