# shellcheck shell=bash
# Leaves the stamp of a step that ended well: what it watched, and how that is. on_host.sh sources it.
# shellcheck source=facts.sh
. "$SCRIPTS/facts.sh"

# Writes one stamp, of the watched facts on standard input; what was said last of a fact counts.
leave_stamp() { # step mark
  local kind name wanted key order=() text
  declare -A said=()
  while IFS=$TAB read -r kind name wanted; do
    [ -n "$kind" ] || continue
    key=$kind$TAB$name
    [ -n "${said[$key]:-}" ] || order+=("$key")
    said[$key]=$wanted
  done
  rm -rf "${STAMPS:?}/$1.texts.new"
  mkdir -m 0700 "$STAMPS/$1.texts.new"
  {
    printf 'mark\t%s\t-\nfacts\t%s\t-\n' "$2" "$facts"
    for key in ${order[@]+"${order[@]}"}; do
      kind=${key%%"$TAB"*} name=${key#*"$TAB"} wanted=${said[$key]}
      case $kind in
        file | nft | settings | inside)
          text=$STAMPS/$1.texts.new/$kind.$(encoded "$name")
          case $wanted in shown) text_of "$kind" "$name" >"$text" ;; esac
          wanted=${FOUND[$key]:-}
          ;;
        configured) wanted="${FOUND[file$TAB$name]##* } $wanted" ;;
      esac
      [ -z "$wanted" ] || printf '%s\t%s\t%s\n' "$kind" "$name" "$wanted"
    done
  } >"$STAMPS/.$1.new"
  rm -rf "${STAMPS:?}/$1.texts"
  rmdir "$STAMPS/$1.texts.new" 2>/dev/null || mv "$STAMPS/$1.texts.new" "$STAMPS/$1.texts"
  mv -f "$STAMPS/.$1.new" "$STAMPS/$1"
}

take_lock
# A step that an earlier `up` left running may have ended meanwhile, and stamped for this one too.
[ -e "$WATCHED" ] || return 0
facts=$(sha256sum <"$SCRIPTS/facts.sh")
facts=${facts%% *}
# The others are wanted in one way only, whatever they are like now.
look < <(grep -E '^(file|nft|settings|inside|configured)' "$WATCHED" || true)
# A step may leave a stamp for a container too: each begins with its name and mark.
stamp='' mark='' lines=''
while IFS=$TAB read -r kind name wanted; do
  if [ "$kind" = stamp ]; then
    [ -z "$stamp" ] || leave_stamp "$stamp" "$mark" <<<"$lines"
    stamp=$name mark=$wanted lines=''
  else
    lines+=$kind$TAB$name$TAB$wanted$'\n'
  fi
done <"$WATCHED"
leave_stamp "$stamp" "$mark" <<<"$lines"
rm -f "$WATCHED"
