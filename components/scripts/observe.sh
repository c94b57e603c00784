# shellcheck shell=bash
# What was changed on this host since the last `up`, by the stamps that its steps left. Changes nothing. It is sent
# after facts.sh and a line FACTS=…, by components/observation.py, which reads what it prints (components/lib/drift.py).
# shellcheck source=facts.sh
PATH=$PATH:/usr/sbin:/sbin
RECORDS=/var/lib/registry-cache
STAMPS=$RECORDS/stamps
declare -A MARKS=() FACTS_OF=()

differs() { # step kind name was is
  printf 'differs\t%s\t%s\t%s\t%s\n' "$2" "$3" "$4" "$5"
  local text
  text=$STAMPS/$1.texts/$2.$(encoded "$3")
  [ -e "$text" ] && [ "$5" != gone ] || return 0
  # A container that somebody made may have secrets in these. A carriage return would end the line for who reads it.
  diff -U0 "$text" <(text_of "$2" "$3") | case $2 in
    settings) sed -E 's/^([+-](environment|entrypoint|command|labels|health check|log)) .*/\1 …/' ;;
    *) cat ;;
  esac | sed -n "3,\${/^[+-]/s/^/line$TAB/p}" | tr '\r' ' ' | head -n 60
}

# What is wrong with our mirrors in daemon.json, if anything. A file that nobody touched is not read again.
mirrors_configured() { # path digest urls
  local python reason
  [ "${FOUND[file$TAB$1]##* }" != "$2" ] && [ -e "$RECORDS/scripts/daemon_json.py" ] || return 0
  for python in python3 /usr/libexec/platform-python python2 python ''; do
    if command -v "$python" >/dev/null; then break; fi
  done
  [ -n "$python" ] || return 0
  # shellcheck disable=SC2086
  reason=$("$python" "$RECORDS/scripts/daemon_json.py" check "$1" $3 2>&1)
  case ${reason%%$'\n'*} in unchanged) ;; *) printf '%s' "${reason%%$'\n'*}" ;; esac
}

leads() { # wanted list: whether the list begins with what is wanted, where a slash at the end counts for nothing
  local url live=() index=0
  for url in $2; do live+=("${url%/}"); done
  for url in $1; do
    [ "${live[index]:-}" = "${url%/}" ] || return 1
    index=$((index + 1))
  done
}

compare() { # step
  local kind name wanted now
  while IFS=$TAB read -r kind name wanted; do
    case $kind in mark | facts) continue ;; esac
    now=${FOUND[$kind$TAB$name]:-}
    case $kind in
      configured)
        now=$(mirrors_configured "$name" "${wanted%% *}" "${wanted#* }")
        [ -z "$now" ] || differs "$1" "$kind" "$name" "${wanted#* }" "$now"
        continue
        ;;
      mirrors) if ! [ "${FOUND[mirrors$TAB$name]+told}" ] || leads "$wanted" "$now"; then continue; fi ;;
      package) if [ "$wanted" = installed ] && [ "$now" != gone ]; then continue; fi ;;
    esac
    if [ "$kind" != mirrors ] && { [ -z "$now" ] || [ "$now" = "$wanted" ]; }; then continue; fi
    differs "$1" "$kind" "$name" "$wanted" "${now:--}"
  done <"$STAMPS/$1"
}

steps=()
all=''
for path in "$STAMPS"/*; do
  [ -f "$path" ] || continue
  step=${path##*/}
  steps+=("$step")
  while IFS=$TAB read -r kind name wanted; do
    case $kind in
      mark) MARKS[$step]=$name ;;
      facts) FACTS_OF[$step]=$name ;;
      *) all+=$kind$TAB$name$TAB$wanted$'\n' ;;
    esac
  done <"$path"
done
look <<<"$all"
for step in ${steps[@]+"${steps[@]}"}; do
  container=registry-cache-${step#container-}
  # A later `up` than the one that left the stamp made this container.
  if [[ $step == container-* ]] && [ "${GENERATIONS[$container]:-0}" -gt "${MARKS[$step]}" ] 2>/dev/null; then
    printf 'step\t%s\t%s\n' "$step" "${GENERATIONS[$container]}"
    continue
  fi
  printf 'step\t%s\t%s\n' "$step" "${MARKS[$step]}"
  if [ -e "$STAMPS/.$step.began" ]; then
    echo unfinished
  elif [ "${FACTS_OF[$step]:-}" = "$FACTS" ]; then
    compare "$step"
  fi
done
echo end
