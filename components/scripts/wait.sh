# shellcheck shell=bash
# Waits until a host lets us in over SSH; runs on the machine that runs Pulumi.
# NAME SECONDS SUDO(yes|no). Standard input, a line each: address, port, destination, ssh's options.
set -euo pipefail
name=$1 seconds=$2 sudo=$3
mapfile -t way
address=${way[0]} port=${way[1]} destination=${way[2]} options=("${way[@]:3}")
deadline=$((SECONDS + seconds))
fail() {
  printf '%s (%s, port %s): %s\n' "$name" "$address" "$port" "$*" >&2
  exit 1
}
command=true
if [ "$sudo" = yes ]; then command='sudo -n true'; fi
attempt=0
# shellcheck disable=SC2029  # a fixed text
until answer=$(ssh "${options[@]}" "$destination" "$command" 2>&1); do
  case $answer in
    *'REMOTE HOST IDENTIFICATION HAS CHANGED'* | *'Host key verification failed'* | *'no hostkey alg'* | *'no matching host key type'*)
      fail "the host shows another host key than the configured hostKey. If the host was reinstalled, compare its key (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub, on the host) and correct hostKey; else somebody may be in between." ;;
    *'Permission denied'*)
      fail "the host refuses the login of ${destination%@*}. Check ssh.user and ssh.privateKeyFile (or the agent), and that the public key stands in the user's authorized_keys." ;;
    *'password is required'* | *'not allowed to execute'* | *'not in the sudoers'*)
      fail "${destination%@*} may log in, but sudo asks for a password. Give the user passwordless sudo, or log in as root." ;;
    *'Could not resolve hostname'*)
      fail "the address does not resolve. Check the address in the stack's configuration." ;;
  esac
  if [ "$SECONDS" -ge "$deadline" ]; then
    fail "no answer over SSH within $seconds s (${answer##*$'\n'}). Check that the host is up, sshd runs, and the way there is open; ssh.waitSeconds is how long to wait."
  fi
  attempt=$((attempt + 1))
  sleep "$((attempt < 5 ? 1 : 3))"
done
echo "$name lets us in"
