#!/usr/bin/env bash
# Set up a bare server as a member: packages, model volume, offline variables, Docker, slots, images, swarm.
#     init-server.sh --bundle DIR --models SOURCE [--cluster FILE] [--first | --join-file FILE]
#                    [--address ADDRESS] [--gpu auto|none] [--signers WHO] [--dry-run]
#     init-server.sh --uninstall [--dry-run]
#     init-server.sh --help
# Run as root, on Debian, Ubuntu or a system derived from them; the only network that it needs is that to other servers.
#   --bundle DIR     the directory that `make bundle` wrote, copied to this server
#   --models SOURCE  the model volume: a block device or an image file (ext4, xfs), HOST:/PATH (NFS), or a directory;
#                    it is mounted read-only at /srv/wanwu/models and must contain the sentinel .wanwu-volume.json
#   --cluster FILE   the cluster.toml with the gateway's port and, in this server's table, the settings of its slots;
#                    default: /etc/wanwu/cluster.toml, which is copied once from FILE or the kit and never changed
#   --first          create a swarm; --join-file: join the one that FILE, or - for standard input, names as
#                    TOKEN@ADDRESS[:2377]; neither: no swarm
#   --address        this server's address in the swarm, if it has several
#   --gpu none       serve on CPUs even if there are GPUs
#   --signers WHO    whose signature of the bundle counts: the fingerprint that `make bundle` printed, SHA256:..., or a
#                    file of fingerprints or of ssh's allowed signers. It is kept in /etc/wanwu/signers, the default
#   --dry-run        run the same checks, but only print the changes
#   --uninstall      undo every recorded change and restore the previous state; models are never deleted, nor is a
#                    cluster.toml that was edited
#
# First it checks the system, the clock, the bundle's signature and checksums, memory, disk, ports, Docker and the volume;
# a failed check is reported in one line, and nothing is changed. Each change is printed as "-> ..." and recorded in
# /var/lib/wanwu/init before it is made. If one fails, all of this run are undone; after a kill, run it again: it goes on.
# A second run changes nothing. A Docker of version 25 or newer with Compose 2.24 or newer is left as it is.
# Created: /opt/wanwu (kit-REVISION of each bundle, and the link kit), /srv/wanwu/models, /etc/wanwu, /var/lib/wanwu,
# /etc/profile.d/wanwu.sh; entries in /etc/docker/daemon.json and /etc/fstab, or units of systemd.
# This is stage 0: it checks what it runs of the bundle and finds a Python 3.11 or newer; where there is none, the
# bundle's is unpacked below TMPDIR (/tmp). Stage 1, scripts/bootstrap, does the rest.
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
umask 022 && unset PYTHONHOME PYTHONPATH

SYSTEMS=(bookworm=debian-12 trixie=debian-13 jammy=ubuntu-22.04 noble=ubuntu-24.04)
CLOCK_S=3600 # how far the clock may be behind the bundle's date: Swarm's certificates tolerate that much
RECORD=/var/lib/wanwu/init/record
CONFIRMED=/etc/wanwu/signers
PYTHON_PACKAGES='(lib)?(python3|expat1|ssl3)[^/]*' # what of the bundle's packages stage 1 needs

fatal() { printf '!! %s\n' "$*" >&2 && exit 1; }
manual() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

# Set SYSTEM to the bundle's name of the system that an os-release describes, or that it derives from.
detect_system() {
    local ID="" ID_LIKE="" VERSION_CODENAME="" UBUNTU_CODENAME="" DEBIAN_CODENAME="" PRETTY_NAME="an unknown system" each missing=""
    # shellcheck source=/dev/null
    [[ ! -r $1 ]] || . "$1"
    case " $ID $ID_LIKE " in
    *" debian "* | *" ubuntu "*)
        for each in "${SYSTEMS[@]}"; do
            [[ ${each%=*} != "${DEBIAN_CODENAME:-${UBUNTU_CODENAME:-$VERSION_CODENAME}}" ]] || { SYSTEM=${each#*=} && return; }
        done ;;
    *" openEuler "* | *" kylin "* | *" uos "* | *" anolis "* | *" rhel "* | *" fedora "* | *" centos "*)
        missing=", for which no bundle has Docker, Compose, Python and make" ;;
    esac
    fatal "found $PRETTY_NAME$missing, needed one of ${SYSTEMS[*]#*=} or a system derived from them: use a server with one of these"
}

# manifest KEY: print the first value of KEY, a plain string, in the bundle's manifest.
manifest() { grep -o "\"$1\": *\"[^\"]*\"" "$BUNDLE/MANIFEST.json" | head -n 1 | cut -d '"' -f 4 || true; }

check_manifest() {
    local found made wanted
    found=$(uname -m) wanted=$(manifest architecture) made=$(manifest created)
    [[ $found == "$wanted" ]] || fatal "found a server of architecture $found, needed ${wanted:-one that the bundle names}: create the bundle on a machine of the server's architecture"
    made=$(date --date="${made:-@$(stat -c %Y "$BUNDLE/MANIFEST.json")}" +%s)
    (($(date +%s) + CLOCK_S >= made)) ||
        fatal "found the clock at $(date -u '+%F %T') UTC, before the bundle was created ($(date -u -d "@$made" '+%F %T')): set the clock"
}

# Check SHA256SUMS.sig, the signature of SHA256SUMS: SIGNERS is the signer's fingerprint or a file that lists it.
check_signature() {
    local of=(-n wanwu-bundle -s "$BUNDLE/SHA256SUMS.sig") said found name
    [[ -n $SIGNERS || ! -e $CONFIRMED ]] || SIGNERS=$CONFIRMED
    type -P ssh-keygen >/dev/null || fatal "found no ssh-keygen, needed it for the bundle's signature: install openssh-client from the system's own medium"
    [[ -r $BUNDLE/SHA256SUMS.sig ]] || fatal "found no SHA256SUMS.sig in $BUNDLE, needed a signed bundle: create it again with \`make bundle\`"
    said=$(ssh-keygen -Y check-novalidate "${of[@]}" <"$BUNDLE/SHA256SUMS" 2>"$WORK/why") ||
        fatal "found a SHA256SUMS.sig that does not sign SHA256SUMS ($(head -n 1 "$WORK/why" | tr -d '\r')), needed the bundle as it was made: copy it again"
    found=$(grep -oE -m 1 'SHA256:[A-Za-z0-9+/]{43}' <<<"$said")
    [[ $SIGNERS != "$found" ]] && ! grep -qsxF -- "$found" "$SIGNERS" || return 0
    while IFS= read -r name; do
        ! ssh-keygen -Y verify -f "$SIGNERS" -I "$name" "${of[@]}" <"$BUNDLE/SHA256SUMS" >/dev/null 2>&1 || return 0
    done < <(ssh-keygen -Y find-principals -f "$SIGNERS" -s "$BUNDLE/SHA256SUMS.sig" 2>/dev/null)
    fatal "found a bundle signed by $found, needed ${SIGNERS:-your word that this is its maker}: compare it with what \`make bundle\` printed there, and add --signers $found, or a file of allowed signers"
}

# Check what is run before stage 1 checks everything: the kit and Python.
check_sums() {
    local run="MANIFEST.json|kit.tar.gz|packages/$SYSTEM/$PYTHON_PACKAGES" said
    said=$(cd "$BUNDLE" && grep -E "^[0-9a-f]{64}  ($run)\$" SHA256SUMS | sha256sum --check --quiet --strict 2>&1) || {
        ! grep -q '"extends": *{' "$BUNDLE/MANIFEST.json" || fatal "found a bundle that extends an older one, without that ($(head -n 1 <<<"$said")), needed both: copy this one over that one, cp -r NEW/. OLD/, and name OLD with --bundle"
        fatal "found a damaged bundle ($(head -n 1 <<<"$said")), needed files that match SHA256SUMS: copy it again"
    }
}

# Set CODE to the folder of stage 1: this file's own kit or checkout, else the bundle's kit, unpacked.
find_code() {
    CODE=$(realpath "$(dirname "$0")/..")
    [[ -e $(dirname "$0")/MANIFEST.json || ! -e $CODE/scripts/bootstrap/__main__.py ]] || return 0
    CODE=$WORK/code && mkdir "$CODE"
    tar -xzf "$BUNDLE/kit.tar.gz" -C "$CODE" --no-same-owner --exclude 'worker/photos/*'
}

# The bytecode of stage 1 ends with this run.
runs_code() { (cd "$CODE" && "$@" -X "pycache_prefix=$WORK/bytecode" -s -c 'import scripts.bootstrap.__main__') </dev/null >/dev/null 2>&1; }

# Set PYTHON: this server's own, or the bundle's where --uninstall would remove that or there is none.
find_python() {
    local deb debs unpacked=$WORK/python
    mapfile -t debs < <(sed -nE "s,^[0-9a-f]{64}  (packages/$SYSTEM/$PYTHON_PACKAGES)\$,\1,p" "$BUNDLE/SHA256SUMS" 2>/dev/null)
    if ((${#debs[@]} == 0)) || ! grep -qs $'^packages\t' "$RECORD"; then
        for PYTHON in python3 python3.11; do ! runs_code "$PYTHON" || return 0; done
    fi
    for deb in "${debs[@]}"; do dpkg-deb --extract "$BUNDLE/$deb" "$unpacked"; done
    PYTHON=$(echo "$unpacked"/usr/bin/python3.[0-9]*)
    LD_LIBRARY_PATH=$(echo "$unpacked"/{usr/,}lib/*-linux-gnu | tr ' ' :) && export LD_LIBRARY_PATH
    ! runs_code "$PYTHON" || return 0
    ((${#debs[@]} == 0)) || fatal "found that the bundle's Python does not run in $WORK, needed a folder that is not mounted noexec: name one with TMPDIR="
    fatal "found no Python 3.11 or newer on this server, nor packages of it for $SYSTEM in the bundle, needed one: create the bundle with SYSTEMS=$SYSTEM"
}

main() {
    local given=no words=("$@") index folder=$PWD
    BUNDLE=$(dirname "$0") SIGNERS=""
    for index in "${!words[@]}"; do
        case ${words[index]} in
        --help) manual && exit ;;
        --bundle) BUNDLE=${words[index + 1]-$BUNDLE} given=yes ;;
        --signers) SIGNERS=${words[index + 1]-} ;;
        esac
    done
    ((EUID == 0)) || fatal "found account $(id -un), needed root: run this with sudo"
    detect_system /etc/os-release
    WORK=$(mktemp -d --tmpdir wanwu-init.XXXXXX)
    trap 'rm -rf --one-file-system "$WORK"' EXIT
    { exec 9</etc && flock --nonblock 9; } || fatal "found this script already running on this server: wait for it"
    if [[ $given == yes || -e $(dirname "$0")/MANIFEST.json || ! -e $(dirname "$0")/bootstrap ]]; then
        [[ -r $BUNDLE/MANIFEST.json && -r $BUNDLE/SHA256SUMS ]] ||
            fatal "found no bundle in $BUNDLE (MANIFEST.json, SHA256SUMS), needed a directory that \`make bundle\` wrote: name it with --bundle"
        check_manifest
        check_signature
        check_sums
    fi
    find_code
    find_python
    cd "$CODE"
    exec "$PYTHON" -X "pycache_prefix=$WORK/bytecode" -s -m scripts.bootstrap "$0" "$WORK" "$SYSTEM" "$folder" "$@"
}

main "$@"
