# SPDX-License-Identifier: Apache-2.0
# Which Debian 12 packages a command needs, and how they get onto the machine. cmake/KnockDependencies.cmake is the
# other place that names libraries: a new one is added to both.
# shellcheck shell=bash

# Boost is named by version because Debian 12's default, 1.74, lacks Boost.JSON and is too old for us.
packages_build='clang-19 lld-19 cmake ninja-build ccache git pkg-config
  libboost1.81-dev libboost-json1.81-dev libssl-dev libcurl4-openssl-dev libyaml-cpp-dev libgit2-dev zlib1g-dev libsqlite3-dev
  libexpected-dev libfmt-dev libspdlog-dev libcli11-dev prometheus-cpp-dev libnftnl-dev libmnl-dev
  libsodium-dev libseccomp-dev libcap-dev libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev libvalijson-dev'
packages_demo='iproute2 nftables openssl curl ca-certificates tzdata'
packages_test='iproute2 nftables openssl curl ca-certificates openssh-client gpgv procps tzdata'
# For the OpenID provider of tests/support only, which may be missing unless KNOCK_REQUIRE names it: see provider_group.
packages_oidc='npm'
packages_sanitize='libclang-rt-19-dev'
packages_lint='clang-format-19 clang-tidy-19'

# provider_group: "oidc" where the tests must have their OpenID provider and this machine has no npm, from wherever it may
# have come. Otherwise nothing: Debian's npm is some hundreds of packages, too much for a newcomer's first minutes.
provider_group() {
  case ,${KNOCK_REQUIRE:-}, in *,oidc,*) have npm || echo oidc ;; esac
}

# missing_packages GROUP…: those not installed, one per line, sorted. Asks dpkg once, so a second run costs nothing.
missing_packages() {
  local wanted='' group name
  for group in "$@"; do
    name=packages_$group
    wanted+=" ${!name}"
  done
  # shellcheck disable=SC2086  # the lists are meant to be split
  set -- $(printf '%s\n' $wanted | sort -u)
  # An architecture-qualified name ("libssl-dev:amd64") is the same package.
  local installed
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null | awk '$2 == "installed" {print $1}') || true
  comm -23 <(printf '%s\n' "$@") <(sort -u <<<"$installed")
}

# need_packages GROUP…: returns when everything is installed; ends the script with a sentence when that cannot be.
need_packages() {
  if ! have dpkg-query; then
    progress "this is no Debian: the names of the libraries elsewhere are in docs/building.md; going on with what is here"
    return
  fi
  local missing as_root=''
  missing=$(missing_packages "$@" | tr '\n' ' ')
  missing=${missing% }
  [ -n "$missing" ] || return 0

  progress "$(wc -w <<<"$missing") Debian packages are missing: $missing"
  if [ -n "${KNOCK_NO_INSTALL:-}" ]; then
    fatal "KNOCK_NO_INSTALL is set, so nothing was installed. To install them: apt-get install $missing"
  fi
  if [ "$(id -u)" != 0 ]; then
    have sudo || fatal "You are not root and there is no sudo. As root, type: apt-get install $missing"
    confirm "Install them with sudo apt-get?" ||
      fatal "Nothing was installed. To do it yourself: sudo apt-get install $missing"
    as_root=sudo
  fi
  install_packages "$as_root" "$missing"
}

# confirm QUESTION: yes from a person at a terminal, or from KNOCK_YES. Nobody there means no.
confirm() {
  [ -z "${KNOCK_YES:-}" ] || return 0
  [ -t 0 ] || return 1
  local answer
  read -r -p "$1 [y/N] " answer || return 1
  [[ $answer == [yY]* ]]
}

install_packages() {
  local as_root=$1 missing=$2 plan removed
  local options=(-o Dpkg::Use-Pty=0 -o Acquire::Retries=3 --no-install-recommends -y)
  progress "reading the package lists"
  $as_root apt-get -q=2 -o Acquire::Retries=3 update ||
    complain "apt-get update failed; going on with the lists this machine has"
  # shellcheck disable=SC2086
  plan=$($as_root env LC_ALL=C apt-get "${options[@]}" -s install $missing 2>&1) || {
    complain "$plan"
    fatal "apt cannot install these packages here. This script knows Debian 12; other systems: docs/building.md"
  }
  # libboost1.81-dev conflicts with libboost-dev (1.74), so apt may want to remove what somebody else needs.
  removed=$(awk '$1 == "Remv" {print $2}' <<<"$plan" | tr '\n' ' ')
  if [ -n "$removed" ]; then
    complain "Installing them would remove: $removed"
    complain "(the usual reason: libboost1.81-dev and libboost-dev, which is Boost 1.74, exclude each other)"
    confirm "Remove those packages and go on?" ||
      fatal "Nothing was changed. A container or a chroot of its own (tests/e2e/bare_debian.sh) keeps both worlds apart."
  fi
  progress "installing $(awk '$1 == "Inst" {n++} END {print n + 0}' <<<"$plan") packages; this is done once"
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "${options[@]}" install $missing >&2 ||
    fatal "apt-get install failed; its own message is above"
}
