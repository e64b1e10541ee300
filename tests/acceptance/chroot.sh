#!/usr/bin/env bash
# A newcomer's machine: Debian's smallest system with python3, git and ca-certificates. There
# scripts/demo first says what to install, and with that installed it runs.
#
# Needs root and debootstrap (exit 77 without). The mirror, the package clients' settings and the
# trusted certificates are this machine's, found when it runs. Takes two minutes and 0.6 GB in TMPDIR.
set -euo pipefail
script=$(realpath "${BASH_SOURCE[0]}")
repository=${BATCHLAB_CHROOT_REPOSITORY:-$(dirname "$script")/../..}  # where the newcomer clones from
export PATH="$PATH:/usr/sbin:/sbin"

not_here() { echo "$*"; exit 77; }

# Outside: one directory, and a namespace of mounts and processes that ends with us, even after kill -9.
if [ $# = 0 ]; then
    [ "$(id -u)" = 0 ] || not_here "the chroot needs root"
    command -v debootstrap >/dev/null || not_here "the chroot needs debootstrap"
    unshare --mount --pid --fork true 2>/dev/null || not_here "the chroot needs namespaces of its own"
    place=$(mktemp -d "${TMPDIR:-/tmp}/batchlab-chroot.XXXXXX")
    inside=
    clean() {
        [ -z "$inside" ] || kill -KILL "$inside" 2>/dev/null || true
        wait
        rm -rf --one-file-system "$place"
    }
    trap clean EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    unshare --mount --pid --fork --kill-child "$script" "$place" &
    inside=$!
    status=0
    wait "$inside" || status=$?
    inside=
    exit "$status"
fi

root=$1/root
said=$1/said
step() { printf '%4d s  %s\n' "$SECONDS" "$*"; }
broken() { tail -n 40 "$said"; step "FAILED: $*"; exit 1; }

mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
    awk '$1 ~ /^(Debian|Ubuntu)$/ && $3 !~ /-/ { print $3, $2; exit }')
[ -n "$mirror" ] || mirror=$(. /etc/os-release && apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' |
    awk -v codename="$VERSION_CODENAME" '$1 == codename { print; exit }')
[ -n "$mirror" ] || not_here "apt names no mirror to make a system from"
read -r codename url <<<"$mirror"

debootstrap --variant=minbase --include=python3,git,ca-certificates "$codename" "$root" "$url" >"$said" 2>&1 ||
    broken "debootstrap"
mount -t proc proc "$root/proc"
step "a smallest system with python3, git and ca-certificates"

# This machine's name service, certificates and package clients' settings
for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt /etc/pip.conf /etc/uv \
    "${HOME:-/root}/.config/pip" "${HOME:-/root}/.pip" "${HOME:-/root}/.config/uv" \
    $(grep -ls Acquire /etc/apt/apt.conf /etc/apt/apt.conf.d/*); do
    [ -e "$file" ] || continue
    copy=$root${file/#"${HOME:-/root}"//root}
    mkdir -p "$(dirname "$copy")"
    cp -rL "$file" "$copy"
done
settings=(HOME=/root PATH=/usr/bin:/bin TERM=xterm DEBIAN_FRONTEND=noninteractive)
while IFS= read -r -d '' setting; do
    case $setting in
        PIP_* | UV_INDEX* | UV_DEFAULT_INDEX* | SSL_CERT_* | http_proxy=* | https_proxy=* | no_proxy=* | HTTP_PROXY=* | HTTPS_PROXY=* | NO_PROXY=*) settings+=("$setting") ;;
    esac
done < <(env -0)
newcomer() { chroot "$root" /usr/bin/env -i "${settings[@]}" /bin/bash -c "$1" >"$said" 2>&1; }

git -c safe.directory='*' -c advice.detachedHead=false clone --quiet --no-hardlinks "$repository" "$root/root/batchlab"

status=0
newcomer 'cd /root/batchlab && scripts/demo' || status=$?
[ "$status" = 2 ] || broken "without venv, scripts/demo ended with $status, not 2"
[ "$(wc -l <"$said")" = 1 ] && grep -q 'Install it with: apt-get install python3-venv$' "$said" ||
    broken "without venv, scripts/demo did not say in one line what to install"
step "without venv: $(<"$said")"

newcomer 'export PATH=$PATH:/usr/sbin:/sbin; apt-get update -qq && apt-get install -qq -y --no-install-recommends python3-venv' ||
    broken "apt-get install python3-venv"
newcomer 'cd /root/batchlab && scripts/demo' || broken "with venv, scripts/demo ended with $?"
step "with venv, the demo ran:"
tail -n 8 "$said"
