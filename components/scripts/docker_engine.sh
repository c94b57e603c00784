# shellcheck shell=bash
# Docker Engine from Docker's yum repository, unless the host has one already.
# Standard input: docker-ce.repo, with @DISTRO@ where the distribution's path goes.
# apply VERSION|- KEEP(yes|no) GROUP_MEMBER|-
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

action=$1 version=${2#-} keep=$3 member=${4#-}
REPO=/etc/yum.repos.d/docker-ce.repo
CENTOS_BASE=/etc/yum.repos.d/CentOS-Base.repo
INSTALLED=$RECORDS/docker-engine-installed
ENABLED=$RECORDS/docker-engine-enabled
JOINED=$RECORDS/docker-engine-group-member
packages=(docker-ce docker-ce-cli containerd.io)
# What yum may bring along with them, as weak dependencies or as told below.
companions=(docker-ce-rootless-extras docker-buildx-plugin docker-compose-plugin kernel-modules-extra)

# CentOS 7's mirror list is gone and its packages moved to the vault
# (https://www.centos.org/centos-linux-eol/).
use_vault() {
  [ -e "$CENTOS_BASE" ] || return 0
  grep -q '^mirrorlist=http://mirrorlist\.centos\.org' "$CENTOS_BASE" || return 0
  local vault
  # shellcheck disable=SC2016  # $releasever is yum's
  vault=$(sed -e 's/^mirrorlist=http:\/\/mirrorlist\.centos\.org/#&/' \
    -e 's/^#baseurl=http:\/\/mirror\.centos\.org\/centos\/\$releasever/baseurl=http:\/\/vault.centos.org\/7.9.2009/' \
    "$CENTOS_BASE")
  put_file "$CENTOS_BASE" 644 root:root <<<"$vault"
  echo "$CENTOS_BASE: the dead mirror list gave way to vault.centos.org"
}

version_of() { if rpm -q "$1" >/dev/null; then rpm -q --qf '%{VERSION}' "$1"; fi; } # package

wrong_versions() { # of the pinned packages those that are there in another one, as yum is told of them
  local package
  [ -n "$version" ] || return 0
  for package in docker-ce docker-ce-cli; do
    case $(version_of "$package") in '' | "$version") ;; *) echo "$package-$version" ;; esac
  done
}

absent_packages() { rpm -q "${packages[@]}" | grep 'is not installed' || true; }

install_engine() {
  local id major distro wanted repository package wrong
  # shellcheck source=/dev/null
  id=$(. /etc/os-release && echo "$ID")
  # shellcheck source=/dev/null
  major=$(. /etc/os-release && echo "${VERSION_ID%%.*}")
  case "$id ${major}" in
    "centos 7" | "rhel 7") distro=centos; use_vault ;;
    *\ 8 | *\ 9 | *\ 1[0-9]) distro=rhel ;;
    *) die "no Docker packages are known for $id $major: install Docker Engine yourself, it is then kept as it is" ;;
  esac
  repository=$(sed "s/@DISTRO@/$distro/")
  put_file "$REPO" 644 root:root <<<"$repository"
  echo "$REPO: $outcome"
  # dockerd does not start on EL10 without xt_addrtype, which is in there.
  if [ "$major" -ge 10 ] && ! rpm -q kernel-modules-extra >/dev/null; then
    yum install -y -q kernel-modules-extra
  fi
  wanted=("${packages[@]}")
  if [ -n "$version" ]; then wanted=("docker-ce-$version" "docker-ce-cli-$version" containerd.io); fi
  if [ -z "$(absent_packages)" ] && [ -z "$(wrong_versions)" ]; then
    echo "docker-ce $(version_of docker-ce): nothing to do"
  else
    yum install -y -q "${wanted[@]}" >&2
    # `yum install` of an older version than the one there succeeds and does nothing.
    wrong=$(wrong_versions)
    # shellcheck disable=SC2086  # a list of packages
    [ -z "$wrong" ] || yum downgrade -y -q $wrong >&2
    echo "docker-ce $(version_of docker-ce): installed"
  fi
  for package in "${packages[@]}"; do
    case $package in
      containerd.io) watch package "$package" ;;
      *) watch package "$package" "$version" ;;
    esac
  done
  [ "$major" -lt 10 ] || watch package kernel-modules-extra
}

# Docker's own packages restart the service at an upgrade; this is for those that do not.
restart_if_replaced() {
  local unit pid
  for unit in containerd docker; do
    pid=$(systemctl show -p MainPID "$unit" | cut -d= -f2)
    case $(readlink "/proc/$pid/exe" 2>/dev/null) in
      *' (deleted)') systemctl restart "$unit" ;;
    esac
  done
}

remove_engine() {
  local package came=()
  for package in "${packages[@]}" "${companions[@]}"; do
    if rpm -q "$package" >/dev/null && ! grep -qxF "$package" "$INSTALLED"; then came+=("$package"); fi
  done
  systemctl disable -q --now docker.service docker.socket || true
  [ ${#came[@]} -eq 0 ] || yum remove -y -q "${came[@]}" >&2
}

case $action in
  apply)
    keep_undo "${version:--}" "$keep" "${member:--}"
    if command -v dockerd >/dev/null && [ ! -e "$INSTALLED" ]; then
      cat >/dev/null
      echo "Docker $(dockerd --version | sed 's/.*version \([^,]*\),.*/\1/') was here before and stays"
    else
      if [ ! -e "$INSTALLED" ]; then
        rpm -qa --qf '%{NAME}\n' >"$INSTALLED.new"
        mv -f "$INSTALLED.new" "$INSTALLED"
      fi
      install_engine
      restart_if_replaced
    fi
    if ! systemctl is-enabled -q docker; then
      # Once this step has ended well here, it was somebody after us who disabled it.
      [ -e "$INSTALLED" ] || [ -e "$STAMPS/$STEP" ] || touch "$ENABLED"
      systemctl enable -q docker
    fi
    systemctl is-active -q docker || systemctl start docker || {
      journalctl -u docker -n 20 --no-pager >&2
      die "docker.service does not start: the lines above are its last words"
    }
    watch service docker
    if [ -n "$member" ] && [[ " $(id -nG "$member") " != *" docker "* ]]; then
      usermod -aG docker "$member"
      echo "$member" >"$JOINED"
      echo "$member joined the group docker"
    fi
    [ -z "$member" ] || watch member "$member docker" yes
    ;;
  restore)
    if [ -e "$JOINED" ]; then
      gpasswd -d "$(cat "$JOINED")" docker >/dev/null
      rm -f "$JOINED"
    fi
    if [ -e "$INSTALLED" ] && [ "$keep" = no ]; then
      remove_engine
    fi
    if [ -e "$ENABLED" ]; then systemctl disable -q docker; fi
    rm -f "$INSTALLED" "$ENABLED"
    put_back "$REPO"
    put_back "$CENTOS_BASE"
    forget_undo
    echo "Docker's repository: as before"
    ;;
esac
