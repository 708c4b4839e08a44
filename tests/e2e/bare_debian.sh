#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A newcomer's first quarter of an hour, measured: makes a bare Debian 12 tree (no compiler, no CMake, no git), puts this
# repository's HEAD into it, and types ./dev demo and then ./dev test there, each as the only command.
#
#   tests/e2e/bare_debian.sh [--keep] [--fresh] [--type COMMAND]…      (default: --type demo --type test)
#
# Needs root, debootstrap, a Debian mirror (the one this machine's own apt uses), about 6 GB in $TMPDIR. The tree without
# any package of ours is kept there as a tarball and used again within a week, so that only the first run waits for
# debootstrap (--fresh makes it new). Not part of ctest: it takes some ten minutes.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
. "$root/scripts/say.sh"

arguments=("$@")
keep='' fresh='' commands=()
while [ $# -gt 0 ]; do
  case $1 in
    --keep) keep=1 ;;
    --fresh) fresh=1 ;;
    --type)
      commands+=("$2")
      shift
      ;;
    *) fatal "usage: tests/e2e/bare_debian.sh [--keep] [--fresh] [--type COMMAND]…" ;;
  esac
  shift
done
[ ${#commands[@]} -gt 0 ] || commands=(demo test)

# Mounts and processes of the inner script stay in namespaces of their own, and so does whatever a command leaves running:
# all of that ends with it. Outside stands only who waits, and removes a folder in which nothing is mounted any more.
clean_up() {
  if [ -n "${inner:-}" ]; then
    kill -KILL "$inner" 2>/dev/null || true # its children die with it
    wait "$inner" 2>/dev/null || true
  fi
  if [ -n "$keep" ]; then
    progress "the tree stays in $KNOCK_BARE_INSIDE/debian"
  else
    rm -rf --one-file-system "$KNOCK_BARE_INSIDE"
  fi
}

if [ -z "${KNOCK_BARE_INSIDE:-}" ]; then
  [ "$(id -u)" = 0 ] || fatal "debootstrap and chroot need root"
  have debootstrap || fatal "debootstrap is missing: apt-get install debootstrap"
  KNOCK_BARE_INSIDE=$(mktemp -d "${TMPDIR:-/tmp}/knock-bare-XXXXXX")
  export KNOCK_BARE_INSIDE
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  unshare --mount --propagation private --pid --fork --kill-child --mount-proc "$0" "${arguments[@]}" &
  inner=$!
  status=0
  wait "$inner" || status=$?
  inner=''
  exit "$status"
fi

work=$KNOCK_BARE_INSIDE
tree=$work/debian
tarball=${TMPDIR:-/tmp}/knock-bare-debian12.tar.gz
failed_log=${TMPDIR:-/tmp}/knock-bare-failed.log
mkdir "$tree"

# What apt reads here: "URI SUITE COMPONENT". Nothing is assumed about where a mirror is.
apt_targets() {
  # shellcheck disable=SC2016  # apt expands these
  apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages'
}
mirror() { apt_targets | awk '$2 == "bookworm" && $3 == "main" {print $1; exit}'; }

make_tree() {
  if [ -z "$fresh" ] && [ -n "$(find "$tarball" -mtime -7 2>/dev/null)" ]; then
    progress "unpacking the bare Debian 12 of an earlier run"
    tar -xzf "$tarball" -C "$tree"
    return
  fi
  local from
  from=$(mirror)
  [ -n "$from" ] || fatal "apt on this machine knows no Debian 12 (bookworm) mirror"
  progress "making a bare Debian 12 (debootstrap)"
  debootstrap --variant=minbase --include=ca-certificates bookworm "$tree" "$from" >"$work/debootstrap.log" 2>&1 || {
    tail -n 5 "$work/debootstrap.log" >&2
    fatal "debootstrap failed"
  }
  tar -czf "$tarball.new" -C "$tree" . && mv "$tarball.new" "$tarball"
}

# Debian's own suites as this machine's apt has them, and its proxy; nothing else it may have added.
copy_apt_settings() {
  rm -rf "$tree/etc/apt/sources.list" "$tree"/etc/apt/sources.list.d/*
  apt_targets | awk '$2 ~ /^bookworm(-updates|-security)?$/ {print "deb", $1, $2, $3}' | sort -u >"$tree/etc/apt/sources.list"
  { apt-config dump | grep -E '^Acquire::(https?|ftp)::Proxy' || true; } >"$tree/etc/apt/apt.conf.d/90proxy"
  cp /etc/resolv.conf "$tree/etc/resolv.conf"
  cp /etc/hosts "$tree/etc/hosts"
}

# The tree becomes a mount of its own: the root of a machine is one, and `unshare` insists on it.
mount_kernel() {
  mount --bind "$tree" "$tree"
  mount -t proc proc "$tree/proc"
  mount --rbind /sys "$tree/sys"
  mount --bind /dev "$tree/dev"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$tree/dev/pts" 2>/dev/null || true
  mkdir -p "$tree/dev/shm"
  mount -t tmpfs tmpfs "$tree/dev/shm"
}

# The bare tree has no git, as the newcomer's machine; what a clone would give is put there.
put_repository() {
  mkdir -p "$tree/home/new"
  git clone -q --no-hardlinks "$root" "$tree/home/new/knock"
}

# type_there COMMAND: the one thing the newcomer types. The environment is a fresh login's.
type_there() {
  chroot "$tree" /usr/bin/env -i HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    bash -c "cd /home/new/knock && $1" </dev/null
}

minutes() { awk -v s="$1" 'BEGIN {printf "%.1f", s / 60}'; }

make_tree
copy_apt_settings
mount_kernel
for missing in clang-19 cmake git curl; do
  if [ -e "$tree/usr/bin/$missing" ]; then fatal "the tree is not bare: it has $missing"; fi
done

cloned=$(date +%s)
put_repository
status=0
for command in "${commands[@]}"; do
  progress "typing ./dev $command (load $(cut -d ' ' -f 1 /proc/loadavg) on $(nproc) CPUs; it talks to $work/typed.log)"
  typed=$SECONDS
  if type_there "./dev $command" >"$work/typed.log" 2>&1; then result=0; else result=$?; fi
  printf '%s\n' "--- ./dev $command: exit $result after $(minutes $((SECONDS - typed))) minutes; the last lines:"
  tail -n "$([ "$result" = 0 ] && echo 4 || echo 40)" "$work/typed.log"
  if [ "$result" != 0 ]; then
    status=1
    cp "$work/typed.log" "$failed_log"
    progress "all of it: $failed_log"
  fi
  # The demo's own clock: when its first connection through the opened door succeeded.
  opened=$(sed -n '/"step":"signin.open"/s/.*"at":\([0-9]*\).*/\1/p' "$tree/home/new/knock/demo.jsonl" 2>/dev/null || true)
  if [ "$command" = demo ] && [ -n "$opened" ]; then
    printf '%s\n' "--- from clone to the first opened port: $(minutes $((opened - cloned))) minutes"
  fi
done
exit "$status"
