# shellcheck shell=bash
# Whether an upstream knows the login of its cache; one that cannot be asked now is no mistake.
# apply CONTAINER UPSTREAM_URL REGISTRY USERNAME CONTAINER_ID
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

action=$1 container=$2 upstream=$3 registry=$4 username=$5
if [ "$action" = restore ]; then
  forget_undo
  exit 0
fi
keep_undo "${@:2}"
answer=$(bash "$SCRIPTS/ask_upstream.sh" "$container" "$upstream")
case $answer in
  ok) echo "$registry does not refuse the login of $username" ;;
  unauthorized*) die "$registry refuses the login of $username (${answer#* }): correct its username and password in upstreams, or leave both out" ;;
  *) echo "$registry cannot be asked for the login of $username now ($answer): not checked" ;;
esac
