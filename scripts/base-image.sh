#!/usr/bin/env bash
# Create the base image with debootstrap, if no registry can be reached.
#
#     scripts/base-image.sh [--force] [--help] [TAG]
#
# TAG is the image to create, by default the Dockerfiles' BASE (debian:bookworm-slim). Without --force, does nothing if
# the engine already has it. Otherwise, as root on Debian: bootstraps a minimal Debian 12 from the mirror of this
# machine's apt, removes documentation and translations as the official image does, and imports it. Packages that are
# installed into images later come from the same mirror, and from its security updates if this machine's apt has them.
set -euo pipefail

RELEASE=bookworm
TAG=debian:bookworm-slim
FORCE=no
# Nobody reads these in a container; licences (copyright) stay.
EXCLUDED=('/usr/share/doc/*' '/usr/share/man/*' '/usr/share/info/*' '/usr/share/locale/*' '/usr/share/lintian/*')
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

info() { printf -- '-- %s\n' "$*"; }

fatal() {
    printf '!! %s\n' "$*" >&2
    exit 1
}

# Print "URI SUITE" for each of this machine's apt sources of Debian 12's main component, the release itself first.
debian_sources() {
    apt-get indextargets --format "\$(REPO_URI) \$(RELEASE)" 'Identifier: Packages' 'Component: main' |
        grep -E " $RELEASE(-updates|-security)?\$" | sort -u -k 2,2 || true
}

require_debootstrap() {
    command -v debootstrap >/dev/null && return
    info "apt: debootstrap"
    # shellcheck source=scripts/apt.sh
    . "$(dirname "$0")/apt.sh"
    apt_get install --no-install-recommends debootstrap || {
        apt_get update && apt_get install --no-install-recommends debootstrap
    } || fatal "apt could not install debootstrap: $(apt_reason)"
}

make_root() {
    local root=$1 mirror=$2 log=$3
    debootstrap --variant=minbase --keyring="$KEYRING" "$RELEASE" "$root" "$mirror" >"$log" 2>&1 ||
        fatal "debootstrap failed: $(grep '^E:' "$log" | head -n 1 || tail -n 1 "$log")"
}

slim() {
    local root=$1 pattern
    {
        printf 'path-exclude=%s\n' "${EXCLUDED[@]}"
        printf 'path-include=/usr/share/doc/*/copyright\n'
    } >"$root/etc/dpkg/dpkg.cfg.d/slim"
    find "$root/usr/share/doc" -type f ! -name copyright -delete
    for pattern in "${EXCLUDED[@]:1}"; do
        rm -rf "${root:?}${pattern%/*}"/*
    done
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root"/var/log/apt/*
    # In image builds, apt must leave no archives or caches behind and install no recommended packages.
    printf '%s\n' 'DPkg::Post-Invoke {"rm -f /var/cache/apt/archives/*.deb || true";};' \
        'Dir::Cache::pkgcache "";' 'Dir::Cache::srcpkgcache "";' 'APT::Install-Recommends "false";' \
        >"$root/etc/apt/apt.conf.d/slim"
}

write_sources() {
    local root=$1 uri suite
    rm -f "$root/etc/apt/sources.list"
    while read -r uri suite; do
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' "$uri" "$suite" "$KEYRING"
    done >"$root/etc/apt/sources.list.d/debian.sources"
}

main() {
    while (($#)); do
        case $1 in
        --force) FORCE=yes ;;
        --help)
            sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
            exit
            ;;
        -*) fatal "unknown argument $1: see $0 --help" ;;
        *) TAG=$1 ;;
        esac
        shift
    done

    docker version >/dev/null 2>&1 || fatal "no Docker engine answers this account: start one, or run scripts/docker-engine.sh as root"
    if [[ $FORCE == no ]] && docker image inspect "$TAG" >/dev/null 2>&1; then
        info "image $TAG is already there"
        exit
    fi
    ((EUID == 0)) || fatal "only root may run debootstrap: run this as root, or \`docker load\` an image $TAG"
    command -v apt-get >/dev/null || fatal "found no apt, needed Debian: \`docker load\` an image $TAG instead"
    local sources mirror
    sources=$(debian_sources)
    mirror=${sources%% *}
    [[ -n $mirror ]] || fatal "found no mirror of Debian $RELEASE in apt's sources: add one to /etc/apt/sources.list.d"
    [[ $sources != *@* ]] || fatal "apt's mirror has a password in its address, which would be stored in the image: move it to /etc/apt/auth.conf.d"
    require_debootstrap

    # Not in /tmp, which may be in memory or forbid the device files that debootstrap makes.
    work=$(mktemp -d /var/tmp/wanwu-base.XXXXXX)
    trap 'rm -rf --one-file-system "$work"' EXIT
    info "debootstrap: Debian $RELEASE from $mirror"
    make_root "$work/root" "$mirror" "$work/log"
    slim "$work/root"
    write_sources "$work/root" <<<"$sources"
    info "importing $TAG"
    tar --directory "$work/root" --numeric-owner --create . |
        docker import --change 'CMD ["bash"]' - "$TAG" >/dev/null || fatal "docker could not import $TAG"
    info "image $TAG: $(($(docker image inspect --format '{{.Size}}' "$TAG") / 1000000)) MB"
}

main "$@"
