#!/usr/bin/env bash
# Set up a bare server as a member: packages, model volume, offline variables, Docker, slots, images, swarm.
#
#     init-server.sh --bundle DIR --models SOURCE [--cluster FILE] [--first | --join TOKEN@ADDRESS]
#                    [--address ADDRESS] [--gpu auto|none] [--dry-run]
#     init-server.sh --uninstall [--dry-run]
#     init-server.sh --help
#
# Run as root, on Debian, Ubuntu or a system derived from them. The only network that it needs is that to other servers.
#   --bundle DIR     the directory that `make bundle` wrote, copied to this server
#   --models SOURCE  the model volume: a block device or an image file (ext4, xfs), HOST:/PATH (NFS), or a directory;
#                    it is mounted read-only at /srv/wanwu/models and must contain the sentinel .wanwu-volume.json
#   --cluster FILE   the cluster.toml with the gateway's port and, in this server's table, the settings of its slots;
#                    the default is /etc/wanwu/cluster.toml. If that does not exist yet, it is copied from FILE or
#                    from the kit; this script does not change it afterwards
#   --first          create a swarm; --join: join the one whose manager is at ADDRESS[:2377]; neither: no swarm
#   --address        this server's address in the swarm, if it has several
#   --gpu none       serve on CPUs even if there are GPUs
#   --dry-run        run the same checks, but only print the changes
#   --uninstall      undo every recorded change and restore the previous state; models are never deleted, nor is a
#                    cluster.toml that was edited
#
# First it checks the system, architecture, kernel, memory, disk, ports, clock, the bundle's checksums, Docker and the
# volume. A failed check is reported in one line, and nothing is changed. Then each change is printed as "-> ..." and
# recorded before it is made. If one fails, all changes of this run are undone. If the script is killed, run it again:
# it continues where it stopped. A second run changes nothing. Docker is restarted only if its configuration changed.
#
# Each kit has its own folder, /opt/wanwu/kit-REVISION; /opt/wanwu/kit is a link to the current one, and the previous
# one is kept: `ln -sfn kit-REVISION /opt/wanwu/kit` switches back. Data is outside of the kits, which have links to it:
# compose/cluster.toml is /etc/wanwu/cluster.toml; run/ and models/ are in /var/lib/wanwu. A new kit creates its own
# .venv/ when it needs one.
#
# Created: /opt/wanwu, /srv/wanwu/models, /etc/wanwu/{cluster.toml,offline.env,hardware.json,slots.json}, /var/lib/wanwu
# and /etc/profile.d/wanwu.sh; entries in /etc/docker/daemon.json and, without systemd, /etc/fstab; with systemd,
# srv-wanwu-models.mount and a drop-in of docker.service. The record is in /var/lib/wanwu/init. A Docker of version 25
# or newer with Compose 2.24 or newer is left unchanged; otherwise the bundle's packages are installed. Docker's kernel
# state (its bridge, its firewall rules) remains after --uninstall until the next boot.
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
umask 022

KERNEL_AT_LEAST=5.10
DOCKER_AT_LEAST=25.0
COMPOSE_AT_LEAST=2.24
MEMORY_MB=2000
SPARE_MB=1000 # of disk space, on top of the unpacked bundle
CLOCK_S=3600  # how far the clock may be behind the bundle's date: Swarm's certificates tolerate that much
START_S=60
APT_LOCK_S=600 # an upgrade in the background may take minutes
PORTS=(tcp:2377 tcp:7946 udp:7946 udp:4789) # of Docker Swarm
PORT=8080 # of the gateway, unless cluster.toml sets another
SYSTEMS=(debian-12 debian-13 ubuntu-22.04 ubuntu-24.04)

KITS=/opt/wanwu
KIT=$KITS/kit # a link to the kit that serves
CLUSTER_FILE=/etc/wanwu/cluster.toml
KEPT=/var/lib/wanwu
VOLUME=/srv/wanwu/models
SENTINEL=.wanwu-volume.json
OFFLINE=/etc/wanwu/offline.env
DAEMON_JSON=/etc/docker/daemon.json
FSTAB=/etc/fstab
UNIT=srv-wanwu-models.mount # as systemd-escape names $VOLUME
DROP_IN=/etc/systemd/system/docker.service.d/wanwu.conf
DOCKER_LOG=/var/log/dockerd.log
STATE=$KEPT/init
RECORD=$STATE/record     # one change per line, in order: kind, tab, object
DOCKER_TREES=(/var/lib/docker /var/lib/containerd /etc/docker /opt/containerd)
DOCKER_DIRS=(/etc/cni /etc/cni/net.d) # made by containerd as a service; other programs also write into them
RESTART=$STATE/restart   # exists while Docker runs with an outdated configuration
OPTIONS=ro,nodev,nosuid,noexec,nofail

BUNDLE="" MODELS="" CLUSTER="" JOIN="" FIRST=no ADDRESS="" GPU=auto DRY_RUN=no UNINSTALL=no
CHANGES=0 CHANGING=no MARK=0 NOW="" SAID=no WORK=""
NEED_RESTART=no

# --- Messages -------------------------------------------------------------------------------------------------------
info() { printf -- '-- %s\n' "$*"; }

fatal() {
    printf '!! %s\n' "$*" >&2
    SAID=yes
    exit 1
}

# reason OUTPUT: print the line of a failed command's output that says why it failed.
reason() {
    local line
    line=$(grep -m 1 -E '^(E:|Error|dpkg: error|mount: )' <<<"$1" || grep -v '^[[:space:]]*$' <<<"$1" | tail -n 1)
    printf '%s' "${line:-it printed nothing}"
}

manual() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

# --- The executor ---------------------------------------------------------------------------------------------------
# change DESCRIPTION COMMAND...: every change goes through here; a dry run only prints the description.
change() {
    NOW=$1
    CHANGES=$((CHANGES + 1))
    printf -- '-> %s\n' "$NOW"
    [[ $DRY_RUN == no ]] || return 0
    "${@:2}"
}

recorded() { grep -qsxF -- "$1"$'\t'"$2" "$RECORD"; }
recorded_any() { grep -qs "^$1"$'\t' "$RECORD"; }

# Called before the change itself, so that even a killed run leaves no unrecorded change.
remember() { recorded "$1" "$2" || record "$1" "$2"; }

record() {
    mkdir -p "$STATE"
    printf '%s\t%s\n' "$1" "$2" >>"$RECORD"
    sync "$RECORD"
}

make_dir() {
    [[ -n $1 && ! -d $1 ]] || return 0
    make_dir "${1%/*}"
    remember dir "$1"
    mkdir -m 0755 "$1"
}

remember_file() {
    if recorded file "$1" || recorded kept "$1"; then return; fi
    if [[ -e $1 ]]; then
        mkdir -p "$STATE/kept${1%/*}"
        cp -a "$1" "$STATE/kept$1"
        remember kept "$1"
    else
        make_dir "${1%/*}"
        remember file "$1"
    fi
}

write() {
    remember_file "$1"
    printf '%s\n' "$2" >"$1.wanwu-new"
    chmod 0644 "$1.wanwu-new"
    [[ ! -e $1 ]] || chmod --reference="$1" "$1.wanwu-new"
    mv "$1.wanwu-new" "$1"
    sha256sum "$1" | cut -d ' ' -f 1 >"$STATE/$(tr / _ <<<"$1").written"
}

# put PATH TEXT: write the file, unless it already has this text.
says() { [[ -f $1 && $(<"$1") == "$2" ]]; }
put() { says "$1" "$2" || change "write $1" write "$1" "$2"; }

# --- Reading JSON without Python, which a bare server lacks ---------------------------------------------------------
# flat FILE: print "path/to/value<tab>value" for every value of a JSON text. Its escapes are decoded; control characters
# and backslashes are escaped again, since a line cannot hold them, and decoded by `plain`.
flat() {
    awk '
        { text = text $0 "\n" }
        function path(   level, out) {
            for (level = 1; level <= depth; level++) out = out (level > 1 ? "/" : "") key[level]
            return out
        }
        function bare(token) { return token ~ /^"/ ? decoded(substr(token, 2, length(token) - 2)) : token }
        function decoded(rest,   out, mark, code, low) {
            while (match(rest, /\\/)) {
                out = out substr(rest, 1, RSTART - 1)
                mark = substr(rest, RSTART + 1, 1)
                rest = substr(rest, RSTART + 2)
                if (mark == "u") {
                    code = number(substr(rest, 1, 4))
                    rest = substr(rest, 5)
                    low = rest ~ /^\\u/ ? number(substr(rest, 3, 4)) : 0
                    if (code >= 55296 && code < 56320 && low >= 56320 && low < 57344) { # a surrogate pair
                        code = 65536 + (code - 55296) * 1024 + low - 56320
                        rest = substr(rest, 7)
                    }
                    out = out utf8(code)
                }
                else if (mark in control) out = out utf8(control[mark])
                else out = out (mark == "\\" ? "\\\\" : mark)
            }
            return out rest
        }
        function number(digits,   value, place) {
            for (place = 1; place <= length(digits); place++)
                value = 16 * value + index("0123456789abcdef", tolower(substr(digits, place, 1))) - 1
            return value
        }
        function utf8(code) {
            if (code < 32) return sprintf("\\0%03o", code)
            if (code == 92) return "\\\\"
            if (code < 128) return sprintf("%c", code)
            if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), tail(code, 1))
            if (code < 65536) return sprintf("%c%c%c", 224 + int(code / 4096), tail(code, 64), tail(code, 1))
            return sprintf("%c%c%c%c", 240 + int(code / 262144), tail(code, 4096), tail(code, 64), tail(code, 1))
        }
        function tail(code, unit) { return 128 + int(code / unit) % 64 }
        BEGIN { control["b"] = 8; control["t"] = 9; control["n"] = 10; control["f"] = 12; control["r"] = 13 }
        END {
            while (match(text, /"([^"\\]|\\.)*"|[][{},:]|[^][{},: \t\r\n"]+/)) {
                token = substr(text, RSTART, RLENGTH)
                text = substr(text, RSTART + RLENGTH)
                if (token == "{" || token == "[") { depth++; list[depth] = token == "["; key[depth] = 0; value = list[depth] }
                else if (token == "}" || token == "]") { depth--; value = list[depth] }
                else if (token == ",") { if (list[depth]) key[depth]++; value = list[depth] }
                else if (token == ":") value = 1
                else if (value) print path() "\t" bare(token)
                else key[depth] = bare(token)
            }
        }' "$1"
}

plain() { printf '%b' "$1"; }

# manifest PATH: print the value at PATH in the bundle's manifest; nothing if there is none.
manifest() { plain "$(awk -F '\t' -v path="$1" '$1 == path { print $2; exit }' "$WORK/manifest")"; }

# --- Comparing ------------------------------------------------------------------------------------------------------
at_least() { [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }
has() { command -v "$1" >/dev/null 2>&1; }
systemd_runs() { [[ -d /run/systemd/system ]]; }
# While the volume is missing, systemd does not start docker.service, and a client of docker.socket would hang.
docker_answers() { { ! systemd_runs || systemctl --quiet is-active docker; } && docker version >/dev/null 2>&1; }
free_mb() {
    local path=$1
    while [[ -n $path && ! -d $path ]]; do path=${path%/*}; done
    df --output=avail --block-size=1000000 "${path:-/}" | tail -n 1 | tr -d ' '
}

# --- Checks: nothing here changes anything --------------------------------------------------------------------------
check_root() {
    ((EUID == 0)) || fatal "found account $(id -un), needed root: run this with sudo"
    local path
    for path in /etc /opt /srv /var/lib; do
        [[ ! -d $path || -w $path ]] || fatal "found $path on a read-only file system, needed a writable one: mount -o remount,rw it"
    done
}

# Set SYSTEM to the bundle's name of this system; a derivative gets the name of the system it derives from.
detect_system() {
    local ID="" ID_LIKE="" VERSION_ID="" VERSION_CODENAME="" UBUNTU_CODENAME="" DEBIAN_CODENAME="" PRETTY_NAME="an unknown system"
    # shellcheck source=/dev/null
    [[ ! -r /etc/os-release ]] || . /etc/os-release
    SYSTEM=$ID-$VERSION_ID
    [[ " ${SYSTEMS[*]} " != *" $SYSTEM "* ]] || return 0
    case " $ID $ID_LIKE " in
    *" debian "* | *" ubuntu "*)
        case ${DEBIAN_CODENAME:-${UBUNTU_CODENAME:-$VERSION_CODENAME}} in
        bookworm) SYSTEM=debian-12 ;;
        trixie) SYSTEM=debian-13 ;;
        jammy) SYSTEM=ubuntu-22.04 ;;
        noble) SYSTEM=ubuntu-24.04 ;;
        *) fatal "found $PRETTY_NAME, needed one of ${SYSTEMS[*]} or a system derived from them: use a server with one of these" ;;
        esac
        ;;
    *) fatal "found $PRETTY_NAME, needed one of ${SYSTEMS[*]} or a system derived from them: use a server with one of these" ;;
    esac
}

check_bundle() {
    [[ -r $BUNDLE/MANIFEST.json && -r $BUNDLE/SHA256SUMS ]] ||
        fatal "found no bundle in $BUNDLE (MANIFEST.json, SHA256SUMS), needed a directory that \`make bundle\` wrote: name it with --bundle"
    flat "$BUNDLE/MANIFEST.json" >"$WORK/manifest"
    local wanted found
    wanted=$(manifest architecture)
    found=$(uname -m)
    [[ $found == "$wanted" ]] || fatal "found a server of architecture $found, needed ${wanted:-one that the bundle names}: create the bundle on a machine of the server's architecture"
    PACKAGES=$(manifest "systems/$SYSTEM/packages")
    check_clock
    info "checking the bundle's checksums"
    local said
    said=$(cd "$BUNDLE" && sha256sum --check --quiet --strict SHA256SUMS 2>&1) ||
        fatal "found a damaged bundle ($(head -n 1 <<<"$said")), needed files that match SHA256SUMS: copy it again"
}

check_clock() {
    local made
    made=$(manifest created)
    made=$(date --date="${made:-@$(stat -c %Y "$BUNDLE/MANIFEST.json")}" +%s)
    (($(date +%s) + CLOCK_S >= made)) ||
        fatal "found the clock at $(date -u '+%F %T') UTC, before the bundle was created ($(date -u -d "@$made" '+%F %T')): set the clock"
}

# Print the path of the operator's cluster.toml; nothing if there is no kit yet.
cluster_file() {
    local file
    for file in "$CLUSTER" "$CLUSTER_FILE" "$KIT/compose/cluster.toml"; do
        [[ ! -f $file ]] || { realpath "$file" && return; }
    done
}

# Set PORT from cluster.toml.
check_cluster() {
    local file found
    file=$(cluster_file)
    if [[ -n $file ]]; then
        cp "$file" "$WORK/cluster.toml"
    else
        tar -xzOf "$BUNDLE/$(manifest kit)" "$(in_kit compose/cluster.toml)" >"$WORK/cluster.toml"
    fi
    if [[ -n $CLUSTER && -f $CLUSTER_FILE ]] && ! cmp -s "$CLUSTER" "$CLUSTER_FILE"; then
        info "the slots and the port come from $CLUSTER; $CLUSTER_FILE differs from it and is left as it is"
    fi
    found=$(awk '
        /^[ \t]*\[/ { exit }
        sub(/^[ \t]*["\047]?port["\047]?[ \t]*=[ \t]*/, "") { sub(/[ \t\r]*(#.*)?$/, ""); print; exit }
    ' "$WORK/cluster.toml")
    [[ -n $found ]] || return 0
    [[ -n $file ]] || file="the bundle's cluster.toml"
    PORT=${found//_/}
    if [[ ! $PORT =~ ^[1-9][0-9]{0,4}$ ]] || ((PORT > 65535)); then
        fatal "$file: port: found $found, needed a port from 1 to 65535: correct it there"
    fi
    [[ " ${PORTS[*]} " != *" tcp:$PORT "* ]] ||
        fatal "$file: port: found $PORT, which Docker Swarm uses: choose another"
}

# Set KIT_DIR, the folder for the bundle's kit, and KIT_SUM, the sha256 of its archive.
check_kit() {
    local revision
    revision=$(manifest wanwu/revision)
    KIT_SUM=$(sha256sum <"$BUNDLE/$(manifest kit)" | cut -d ' ' -f 1)
    [[ $revision =~ ^[0-9A-Za-z]+(-dirty)?$ ]] || revision=$KIT_SUM
    KIT_DIR=$KITS/kit-${revision:0:12}
    [[ $revision != *-dirty ]] || KIT_DIR+=-dirty-${KIT_SUM:0:8}
    if [[ ! -L $KIT ]]; then # unpacked by an earlier version of this script, with its own run/
        check_not_served "$KIT/run"
    elif [[ -f $KIT/compose/cluster.toml && ! -L $KIT/compose/cluster.toml ]]; then
        cmp -s "$KIT/compose/cluster.toml" "$CLUSTER_FILE" ||
            fatal "found a file $KIT/compose/cluster.toml instead of a link to $CLUSTER_FILE, needed the link: move the file there, or remove it"
    fi
}

check_not_served() {
    local runtime
    runtime=$(cat "$1/runtime" 2>/dev/null || true)
    [[ ! $runtime =~ ^(local|compose)$ ]] ||
        fatal "found a service ($runtime) that runs from $1, needed none while that folder is replaced or removed: cd $KIT && make down"
}

check_machine() {
    local found needed
    found=$(uname -r)
    at_least "$found" "$KERNEL_AT_LEAST" || fatal "found kernel $found, needed $KERNEL_AT_LEAST or newer: upgrade it and reboot"
    found=$(awk '/^MemTotal:/ { print int($2 * 1024 / 1000000) }' /proc/meminfo)
    ((found >= MEMORY_MB)) || fatal "found $found MB of memory, needed $MEMORY_MB: add memory"
    [[ ! -s $RECORD ]] || return 0 # an earlier run may have used the disk space and the ports
    needed=$(du -sc --block-size=1000000 "$BUNDLE/images" ${PACKAGES:+"$BUNDLE/$PACKAGES"} 2>/dev/null | tail -n 1 | cut -f 1)
    needed=$((3 * needed + SPARE_MB))
    found=$(free_mb /var/lib/docker)
    ((found >= needed)) || fatal "found $found MB free for /var/lib/docker, needed $needed: free some space, or mount a larger disk there"
    check_ports
}

check_ports() {
    local entry kind port
    for entry in "${PORTS[@]}" "tcp:$PORT"; do
        kind=${entry%:*} port=${entry#*:}
        awk -v port="$(printf ':%04X' "$port")" -v kind="$kind" '
            substr($2, length($2) - 4) == port && (kind == "udp" || $4 == "0A") { found = 1 } END { exit !found }
        ' "/proc/net/$kind" "/proc/net/${kind}6" 2>/dev/null || continue
        # A Docker that is already in a swarm holds the ports of Swarm itself.
        [[ $port == "$PORT" || $(swarm_state) != active ]] || continue
        fatal "found port $port ($kind) in use, needed it for $([[ $port == "$PORT" ]] && echo the gateway || echo Docker Swarm): stop the process that listens there"
    done
}

# The slots are named after the server.
check_name() {
    NAME=$(uname -n)
    NAME=${NAME%%.*}
    [[ $NAME =~ ^[a-z][a-z0-9-]{0,30}$ ]] ||
        fatal "found the host name $NAME, needed up to 31 lower-case letters, digits or \"-\", the first a letter: hostnamectl set-hostname NAME"
}

# Set NEED_ENGINE and NEED_COMPOSE: whether to install those of the bundle.
check_docker() {
    NEED_ENGINE=no NEED_COMPOSE=no
    local version said
    if ! has dockerd || ! version=$(dockerd --version 2>&1); then
        ! has dockerd || recorded_any packages ||
            fatal "found a Docker that does not run ($(reason "$version")), needed a working one or none: repair it, or remove it"
        NEED_ENGINE=yes NEED_COMPOSE=yes
        return
    fi
    version=$(sed -E 's/^Docker version ([0-9.]+).*/\1/' <<<"$version")
    at_least "$version" "$DOCKER_AT_LEAST" || NEED_ENGINE=yes
    at_least "$(docker compose version --short 2>/dev/null | sed 's/^v//')" "$COMPOSE_AT_LEAST" || NEED_COMPOSE=yes
    [[ $NEED_ENGINE == no ]] || dpkg-query -W docker.io >/dev/null 2>&1 ||
        fatal "found Docker $version, not from this system's packages, needed $DOCKER_AT_LEAST or newer: upgrade it, or remove it"
    recorded_any docker || said=$(docker version 2>&1) ||
        fatal "found Docker $version that does not answer ($(reason "$said")), needed a working one or none: start or repair it, or remove it"
    [[ ! -e $DAEMON_JSON ]] || flat "$DAEMON_JSON" >/dev/null || fatal "found $DAEMON_JSON, which cannot be read: repair it"
}

# Set WANTED, the names of the bundle's packages that this server lacks, and INCOMING, these with their dependencies.
check_packages() {
    WANTED=() INCOMING=()
    local names=() name
    for name in $(recorded_packages); do # a killed run may have left them half installed
        [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null) == ii* ]] || names+=("$name")
    done
    [[ $NEED_ENGINE == no ]] || names+=(docker.io docker-cli containerd)
    [[ $NEED_COMPOSE == no ]] || names+=(docker-compose docker-compose-v2 docker-buildx)
    has python3 || names+=(python3)
    has make || names+=(make)
    # If the kernel has AppArmor, Docker needs its parser.
    [[ $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null) != Y ]] || has apparmor_parser || names+=(apparmor)
    [[ $MODELS != *:/* ]] || has mount.nfs || names+=(nfs-common)
    ((${#names[@]})) || return 0
    [[ -n $PACKAGES ]] || fatal "found no packages for $SYSTEM in the bundle, needed ${names[*]}: create the bundle with SYSTEMS=$SYSTEM"
    local_repository
    for name in "${names[@]}"; do
        ! grep -qxF "Package: $name" "$WORK/repository/Packages" || WANTED+=("$name")
    done
    local said
    said=$(bundle_apt --simulate install --no-remove "${WANTED[@]}" 2>&1) ||
        fatal "found installed packages that conflict with the bundle's ($(reason "$said")): remove those that prevent installing ${WANTED[*]}"
    mapfile -t INCOMING < <(awk '$1 == "Inst" && $3 !~ /^\[/ { print $2 }' <<<"$said")
    [[ $NEED_ENGINE == no || " ${WANTED[*]} " == *" docker.io "* ]] || fatal "found no docker.io in the bundle's $PACKAGES: create the bundle again"
}

recorded_packages() { sed -n 's/^packages\t//p' "$RECORD" 2>/dev/null; }

# Let apt read the bundle as a separate repository; this server's sources and lists stay as they are.
local_repository() {
    mkdir -p "$WORK/apt/lists/partial" "$WORK/apt/archives/partial"
    ln -sfn "$(realpath "$BUNDLE/$PACKAGES")" "$WORK/repository"
    printf 'deb [trusted=yes] file:%s ./\n' "$WORK/repository" >"$WORK/apt/sources.list"
    unlocked bundle_apt update || fatal "apt could not read the bundle's packages: $(reason "$PRINTED")"
}

# quietly COMMAND...: keep packages from starting Docker before it is configured and the volume is mounted.
quietly() { RUNLEVEL=1 SYSTEMD_OFFLINE=1 "$@"; }

bundle_apt() {
    quietly apt-get -qq --yes --no-install-recommends -o Dir::Etc::SourceList="$WORK/apt/sources.list" \
        -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::PreferencesParts=/dev/null -o Dir::State::Lists="$WORK/apt/lists" \
        -o Dir::State::extended_states="$WORK/apt/extended_states" -o Dir::Cache="$WORK/apt" -o Dir::Log="$WORK/apt" \
        -o APT::Sandbox::User=root -o Dpkg::Use-Pty=0 "$@"
}

# unlocked COMMAND...: run apt or dpkg, and again while another holds a lock; its output is in PRINTED. apt's own
# DPkg::Lock::Timeout is silent while it waits, and dpkg has no such option.
unlocked() {
    local give_up=$((SECONDS + APT_LOCK_S)) told=no
    until PRINTED=$("$@" 2>&1); do
        is_locked && ((SECONDS < give_up)) || return 1
        [[ $told == yes ]] || info "waiting up to $((APT_LOCK_S / 60)) minutes for another apt or dpkg: $(reason "$PRINTED")"
        told=yes
        sleep 1
    done
}

is_locked() { [[ $PRINTED == *"Could not get lock "* || $PRINTED == *"lock was locked by another process"* ]]; }

# Set WHAT, TYPE and MOUNT_OPTIONS, as a mount unit or fstab states them.
check_models() {
    MOUNT_OPTIONS=$OPTIONS
    local uuid
    case $MODELS in
    *:/*) WHAT=$MODELS TYPE=nfs MOUNT_OPTIONS+=,_netdev ;;
    *)
        [[ -e $MODELS ]] || fatal "found nothing at $MODELS, needed the model volume: name a device, an image file, a directory or HOST:/PATH with --models"
        MODELS=$(realpath "$MODELS")
        [[ $MODELS != "$VOLUME" ]] || fatal "found --models $VOLUME, where the volume will be mounted: name the source of the models"
        [[ $MODELS != *[[:space:]]* ]] || fatal "found white space in $MODELS, needed a path without: rename it"
        if [[ -d $MODELS ]]; then
            WHAT=$MODELS TYPE=none MOUNT_OPTIONS=bind,$OPTIONS
        else
            TYPE=$(blkid -p -o value -s TYPE "$MODELS" || true)
            uuid=$(blkid -p -o value -s UUID "$MODELS" || true)
            [[ $TYPE == ext4 || $TYPE == xfs ]] || fatal "found ${TYPE:-no file system} on $MODELS, needed ext4 or xfs: create the volume again"
            if [[ -b $MODELS ]]; then WHAT=UUID=$uuid; else WHAT=$MODELS MOUNT_OPTIONS=loop,$OPTIONS; fi
        fi
        ;;
    esac
    if mountpoint -q "$VOLUME"; then
        recorded_any mount || fatal "found $VOLUME already mounted, but not by this script: unmount it"
    fi
    try_mount
}

# mounted OPTIONS COMMAND: mount the volume, with OPTIONS (",one,two" or nothing) added, and run a shell command in it;
# the output is in PRINTED. The mount is in a namespace of its own, and ends with it.
mounted() {
    # shellcheck disable=SC2016 # the inner shell's own arguments
    PRINTED=$(unshare --mount --propagation private sh -c 'mount -t "$1" -o "$2" "$3" "$4" && cd "$4" && eval "$5"' \
        - "$TYPE" "${MOUNT_OPTIONS/,nofail/}$1" "$WHAT" "$WORK/volume" "$2" 2>&1)
}

# unread_journal: print the mount option that skips journal recovery, which writes even on a read-only mount.
unread_journal() {
    case $TYPE in
    ext4) echo ,noload ;;
    xfs) echo ,norecovery ;;
    esac
}

try_mount() {
    mkdir "$WORK/volume"
    local options clean=""
    options=$(unread_journal)
    [[ -z $options ]] || clean=", and unmount it cleanly"
    mounted "$options" "cat $SENTINEL >../volume.sentinel && find . -maxdepth 1 -printf '%f\\0' >../volume.names" || {
        [[ $PRINTED != *"$SENTINEL"* ]] || fatal "found no $SENTINEL on $MODELS, needed a model volume: copy all of the bundle's models/ there$clean"
        fatal "found a volume that cannot be mounted, $MODELS ($(reason "$PRINTED")): repair it, or name another one with --models"
    }
    # A file is mounted through a read-only loop device, so that this attempt changes nothing.
    if [[ -f $MODELS && -z $(losetup --associated "$MODELS") ]] && ! mounted "" true; then
        fatal "found $MODELS not unmounted cleanly ($(reason "$PRINTED")), needed a cleanly unmounted file: mount it writable with \`mount -o loop\`, and unmount it"
    fi
    flat "$WORK/volume.sentinel" >"$WORK/sentinel"
    grep -q $'^volume\t.' "$WORK/sentinel" || fatal "found a damaged $SENTINEL on $MODELS: copy the bundle's models/ there again"
    local model
    while IFS= read -r model; do
        model=$(plain "$model")
        grep -qzxF -- "$model" "$WORK/volume.names" ||
            fatal "found no folder $model on $MODELS, which its $SENTINEL lists: copy the volume again"
    done < <(sed -n 's,^models/\([^\t]*\)\t.*,\1,p' "$WORK/sentinel")
}

check_gpus() {
    NVIDIA=no
    [[ $GPU == auto ]] && has nvidia-smi && nvidia-smi -L 2>/dev/null | grep -q '^GPU ' || return 0
    NVIDIA=yes
    has nvidia-container-runtime ||
        fatal "found GPUs, but no NVIDIA Container Toolkit, needed it to use them in containers: install it, or serve on CPUs with --gpu none"
}

swarm_state() { ! docker_answers || docker info --format '{{.Swarm.LocalNodeState}}' 2>/dev/null || true; }

# Set TOKEN and MANAGER.
check_swarm() {
    [[ -n $JOIN ]] || return 0
    TOKEN=${JOIN%%@*} MANAGER=${JOIN#*@}
    [[ $JOIN == *@* && $TOKEN =~ ^SWMTKN-1-[0-9a-z]{50}-[0-9a-z]{25}$ ]] ||
        fatal "found an invalid join token, needed SWMTKN-1-...@ADDRESS: run \`docker swarm join-token worker\` on the first server"
    [[ $MANAGER == *:* ]] || MANAGER+=:2377
    [[ $(swarm_state) != active ]] || return 0
    # shellcheck disable=SC2016 # the inner shell's own argument
    timeout 5 bash -c 'exec 3<>"/dev/tcp/${1%:*}/${1##*:}"' - "$MANAGER" 2>/dev/null ||
        fatal "found no manager at $MANAGER, needed the first server's: check the address, the network, and that port ${MANAGER##*:} is open there"
}

# --- Steps: each changes something only if that is needed -----------------------------------------------------------
install_packages() {
    local each
    # undo_to goes backwards: what is recorded here is removed after Docker has stopped and the packages are gone.
    if [[ $NEED_ENGINE == yes ]]; then
        for each in "${DOCKER_TREES[@]}"; do [[ -e $each ]] || remember tree "$each"; done
        for each in "${DOCKER_DIRS[@]}"; do [[ -e $each ]] || remember dir "$each"; done
    fi
    ((${#INCOMING[@]} == 0)) || remember packages "${INCOMING[*]}"
    remember_docker
    [[ -e $STATE/before ]] || { snapshot >"$STATE/before.new" && mv "$STATE/before.new" "$STATE/before"; }
    unlocked quietly dpkg --configure -a || true # after a killed run; the next line installs what is still missing
    unlocked bundle_apt install --no-remove "${WANTED[@]}" ||
        fatal "apt could not install the bundle's packages: $(reason "$PRINTED")"
    snapshot | comm -13 "$STATE/before" - >"$STATE/brought.new"
    mv "$STATE/brought.new" "$STATE/brought"
    hash -r
    [[ $NEED_ENGINE == no ]] || touch "$RESTART" # a running Docker is still the old version
}

# Print what packages' scripts may create without dpkg knowing: accounts, groups, and files outside /usr.
snapshot() {
    {
        sed 's,^\([^:]*\):.*,group \1,' /etc/group
        sed 's,^\([^:]*\):.*,user \1,' /etc/passwd
        find /etc /root /var -xdev \( -path /var/lib/dpkg -o -path "${STATE%/*}" -o -path /var/lib/docker -o \
            -path /var/lib/containerd \) -prune -o -printf 'path %p\n'
    } | sort
}

remember_docker() { recorded_any docker || remember docker "$(docker_was)"; }

docker_was() { if docker_answers; then echo running; elif has dockerd; then echo stopped; else echo absent; fi; }

step_packages() {
    NEED_RESTART=$NEED_ENGINE
    ((${#WANTED[@]} == 0)) || change "install ${WANTED[*]} and their dependencies" install_packages
}

# in_kit FILE: print the path of FILE in the kit's archive, which may have a top folder.
in_kit() { tar -tzf "$BUNDLE/$(manifest kit)" | awk -v end="/$1" '"/" $0 ~ end "$" && !found { print; found = 1 }'; }

unpack_kit() {
    make_dir "$KITS"
    remember tree "$KIT_DIR"
    remember tree "$KEPT/run"
    local inside new=$KIT_DIR.new
    inside=$(in_kit scripts/init-server.sh)
    inside=${inside%scripts/init-server.sh}
    rm -rf "$new"
    mkdir "$new"
    tar -xzf "$BUNDLE/$(manifest kit)" -C "$new" --no-same-owner --strip-components="$(tr -cd / <<<"${inside#./}" | wc -c)"
    mv "$new/compose/cluster.toml" "$new/compose/cluster.default.toml"
    ln -s "$CLUSTER_FILE" "$new/compose/cluster.toml"
    ln -s "$KEPT/run" "$KEPT/models" "$new"
    printf '%s\n' "$KIT_SUM" >"$new/.sha256"
    rm -rf "$KIT_DIR"
    mv "$new" "$KIT_DIR"
}

# Make the old kit's cluster.toml and models the server's own, then move the kit aside.
migrate_kit() {
    local models=$KIT/models
    make_dir "${CLUSTER_FILE%/*}"
    if [[ ! -e $CLUSTER_FILE ]]; then
        save "$KIT/compose/cluster.toml" "$CLUSTER_FILE"
    elif ! cmp -s "$KIT/compose/cluster.toml" "$CLUSTER_FILE"; then
        save "$KIT/compose/cluster.toml" "$CLUSTER_FILE.of-old-kit"
        info "$CLUSTER_FILE is kept; the old kit's is now $CLUSTER_FILE.of-old-kit"
    fi
    ln -sf "$CLUSTER_FILE" "$KIT/compose/cluster.toml"
    if [[ -d $models && ! -L $models && ! -e $KEPT/models ]]; then
        rm -rf "$KEPT/models.new"
        # Hard links save the copy if both are on one file system.
        cp --archive --link "$models" "$KEPT/models.new" 2>/dev/null || {
            rm -rf "$KEPT/models.new"
            cp --archive "$models" "$KEPT/models.new"
        }
        mv --no-target-directory "$KEPT/models.new" "$KEPT/models"
        rm -rf "$models"
        ln -s "$KEPT/models" "$models"
    fi
    remember moved "$KIT $KITS/kit-before"
    rm -rf "$KITS/kit-before"
    mv "$KIT" "$KITS/kit-before"
}

save() {
    cp --preserve "$1" "$2.wanwu-new"
    mv "$2.wanwu-new" "$2"
}

seed_cluster() {
    make_dir "${CLUSTER_FILE%/*}"
    remember own "$CLUSTER_FILE"
    cp "${CLUSTER:-$KIT_DIR/compose/cluster.default.toml}" "$CLUSTER_FILE.wanwu-new"
    chmod 0644 "$CLUSTER_FILE.wanwu-new"
    mv "$CLUSTER_FILE.wanwu-new" "$CLUSTER_FILE"
    sha256sum <"$CLUSTER_FILE" >"$STATE/cluster.written"
}

point_to() {
    rm -f "$KIT.new"
    ln -s "$1" "$KIT.new"
    mv --no-target-directory "$KIT.new" "$KIT"
}

link_kit() {
    record link "$BEFORE"
    point_to "${KIT_DIR##*/}"
}

step_kit() {
    BEFORE=$(readlink "$KIT" || true)
    local migrating=no
    if [[ -d $KIT && ! -L $KIT ]]; then
        migrating=yes
        change "move the cluster.toml of $KIT to $CLUSTER_FILE, and that kit to $KITS/kit-before" migrate_kit
    fi
    says "$KIT_DIR/.sha256" "$KIT_SUM" || change "unpack the kit into $KIT_DIR" unpack_kit
    [[ -d $KEPT/models || $migrating == yes ]] || change "create $KEPT/models" make_dir "$KEPT/models"
    [[ -e $CLUSTER_FILE || $migrating == yes ]] || change "write $CLUSTER_FILE, which is yours to edit from now on" seed_cluster
    [[ $BEFORE == "${KIT_DIR##*/}" ]] || change "link $KIT to $KIT_DIR" link_kit
}

# Keep the kit that serves and the one before it, or the newest other one; remove the rest.
step_old_kits() {
    local kits kit before=$BEFORE
    [[ $before != "${KIT_DIR##*/}" ]] || before=$({ sed -n 's/^link\t//p' "$RECORD" 2>/dev/null || true; } | tail -n 1)
    mapfile -t kits < <({ find "$KITS" -maxdepth 1 -name 'kit-*' ! -name '*.new' ! -path "$KIT_DIR" -printf '%T@ %f\n' 2>/dev/null || true; } |
        sort -rn | cut -d ' ' -f 2)
    [[ -n $before && -d $KITS/$before ]] || before=${kits[0]-}
    for kit in "${kits[@]}"; do
        if [[ $kit == "$before" ]]; then
            continue
        elif in_use "$kit"; then
            info "$KITS/$kit is kept, since something still runs from it"
        else
            change "remove the old kit $KITS/$kit" rm -rf --one-file-system "${KITS:?}/$kit"
        fi
    done
}

# in_use KIT: succeed if a process works in the kit's folder, or a container mounts a part of it.
in_use() {
    grep -qsF "${KITS##*/}/$1/" /proc/[0-9]*/mountinfo ||
        { readlink /proc/[0-9]*/cwd 2>/dev/null || true; } | awk -v kit="$KITS/$1/" 'index($0 "/", kit) == 1 { found = 1 } END { exit !found }'
}

mount_volume() {
    local said
    remember mount ""
    if mountpoint -q "$VOLUME"; then
        said=$(umount "$VOLUME" 2>&1) || fatal "found $VOLUME in use ($(reason "$said")): stop the workers with \`make down\`"
    fi
    if systemd_runs; then
        said=$(systemctl daemon-reload 2>&1 && systemctl enable --quiet --now "$UNIT" 2>&1) ||
            fatal "systemd could not mount $VOLUME: $(reason "$said")"
    else
        said=$(mount "$VOLUME" 2>&1) || fatal "$VOLUME could not be mounted: $(reason "$said")"
    fi
    cmp -s "$WORK/volume.sentinel" "$VOLUME/$SENTINEL" || fatal "found a volume on $VOLUME other than $MODELS: see \`findmnt $VOLUME\`"
}

unit_text() {
    local what=$WHAT target=multi-user.target
    [[ $what != UUID=* ]] || what=/dev/disk/by-uuid/${what#UUID=}
    [[ $TYPE != nfs ]] || target=remote-fs.target
    printf '%s\n' "# Written by init-server.sh." "[Unit]" "Description=Wanwu's models, read-only" "" "[Mount]" "What=$what" \
        "Where=$VOLUME" "Type=$TYPE" "Options=$MOUNT_OPTIONS" "" "[Install]" "WantedBy=$target"
}

step_volume() {
    [[ -d $VOLUME ]] || change "create $VOLUME" make_dir "$VOLUME"
    local before=$CHANGES line="$WHAT $VOLUME $TYPE $MOUNT_OPTIONS 0 0"
    if systemd_runs; then
        put "/etc/systemd/system/$UNIT" "$(unit_text)"
        put "$DROP_IN" "# Written by init-server.sh: no worker starts on an empty folder."$'\n'"[Unit]"$'\n'"RequiresMountsFor=$VOLUME"
    else
        put "$FSTAB" "$({ grep -vsE "^[^#]\S*\s+$VOLUME\s" "$FSTAB" || true; } && echo "$line")"
    fi
    if ((CHANGES > before)) || ! mountpoint -q "$VOLUME" || ! cmp -s "$WORK/volume.sentinel" "$VOLUME/$SENTINEL"; then
        change "mount $WHAT on $VOLUME ($TYPE, $MOUNT_OPTIONS)" mount_volume
    fi
}

step_offline() {
    local text
    text=$(tar -xzOf "$BUNDLE/$(manifest kit)" "$(in_kit worker/offline.env)" | grep -v '^#')
    put "$OFFLINE" "# Written by init-server.sh: what keeps every library on this server, in containers, services and login shells.
$text
HF_HOME=/var/cache/wanwu/huggingface
HF_HUB_CACHE=$VOLUME/.cache/huggingface/hub
TORCH_HOME=$VOLUME/.cache/torch
MODELSCOPE_CACHE=$VOLUME/.cache/modelscope"
    put /etc/profile.d/wanwu.sh "# Written by init-server.sh.
set -a
. $OFFLINE
set +a"
}

# kit ARGUMENTS...: run Python in the kit without writing bytecode; fail silently if Python or the kit is missing.
kit() { [[ -d $KIT ]] && has python3 && (cd "$KIT" && python3 -B "$@"); }

slots() { kit -m scripts slots --cluster "$(cluster_file)" --server "$NAME" --gpu "$GPU"; }

hardware() { kit -c 'from scripts.cluster.hardware import read_hardware; print(read_hardware().to_json())'; }

write_output() {
    local text
    text=$("$2") || fatal "the kit could not determine this server's ${2}"
    write "$1" "$text"
}

put_output() {
    local text
    if ! text=$("$2" 2>/dev/null) || ! says "$1" "$text"; then change "write $1" write_output "$1" "$2"; fi
    [[ $DRY_RUN == no || -z $text ]] || printf '%s\n' "$text" >"$WORK/${1##*/}"
}

step_slots() {
    put_output /etc/wanwu/hardware.json hardware
    put_output /etc/wanwu/slots.json slots
}

# Print the new daemon.json; other entries stay. The label tells `make up` what the slots were made from.
daemon_json() {
    local slots=$WORK/slots.json # where a dry run puts them
    [[ -e $slots ]] || slots=/etc/wanwu/slots.json
    python3 -B - "$DAEMON_JSON" "$slots" "$NVIDIA" <<'END'
import json, sys
from pathlib import Path

daemon, own, nvidia = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), sys.argv[3]
found = json.loads(daemon.read_text()) if daemon.exists() and daemon.read_text().strip() else {}
ours = {
    "node-generic-resources": [f"slot={name}" for name in own["slots"]],
    "labels": ["wanwu.slots=" + json.dumps(own["asked"])],
}
wanted = found | {
    key: [*(one for one in found.get(key, []) if one.partition("=")[0] != entries[0].partition("=")[0]), *entries]
    for key, entries in ours.items()
}
if nvidia == "yes":
    wanted["runtimes"] = {"nvidia": {"path": "nvidia-container-runtime"}} | found.get("runtimes", {})
    wanted["default-runtime"] = "nvidia"
print(daemon.read_text().rstrip("\n") if wanted == found else json.dumps(wanted, indent=4))
END
}

write_daemon_json() {
    local text
    text=$(daemon_json 2>&1) || fatal "found $DAEMON_JSON, which cannot be read as JSON ($(reason "$text")): repair it"
    remember_docker
    touch "$RESTART"
    write "$DAEMON_JSON" "$text"
}

step_docker() {
    local text
    if ! text=$(daemon_json 2>/dev/null) || ! says "$DAEMON_JSON" "$text"; then
        change "write this server's slots into $DAEMON_JSON" write_daemon_json
        NEED_RESTART=yes
    fi
    if ! docker_answers; then
        change "start Docker" start_docker
    elif [[ $NEED_RESTART == yes || -e $RESTART ]]; then
        change "restart Docker" restart_docker
    fi
}

start_docker() {
    remember_docker
    rm -f "$RESTART" # a start reads the current configuration
    if systemd_runs; then
        systemctl daemon-reload
        systemctl enable --quiet --now docker || fatal "systemd could not start Docker: see journalctl --unit docker"
    else
        [[ -e $DOCKER_LOG ]] || remember file "$DOCKER_LOG"
        # A session of its own and no open files of the caller keep it running after the caller ends.
        setsid --fork dockerd </dev/null >>"$DOCKER_LOG" 2>&1 9>&-
    fi
    await_docker
}

await_docker() {
    local give_up=$((SECONDS + START_S))
    until docker_answers; do
        ((SECONDS < give_up)) || fatal "Docker did not answer within $START_S seconds: $(tail -n 1 "$DOCKER_LOG" 2>/dev/null || echo "see journalctl --unit docker")"
        sleep 0.2
    done
}

restart_docker() {
    if systemd_runs; then
        systemctl daemon-reload
        systemctl restart docker || fatal "systemd could not restart Docker: see journalctl --unit docker"
        await_docker
        rm -f "$RESTART"
    else
        stop_docker
        start_docker
    fi
}

stop_docker() {
    if systemd_runs; then
        systemctl stop docker.socket docker containerd 2>/dev/null || true
        return
    fi
    local pid
    pid=$(cat /var/run/docker.pid 2>/dev/null) || return 0
    kill "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null && [[ $(cut -d ' ' -f 3 "/proc/$pid/stat" 2>/dev/null) != Z ]]; do sleep 0.1; done
}

# containerd's image store gives images other IDs: there, the ID recorded when the file was loaded counts.
image_is() {
    local id
    id=$(docker image inspect --format '{{.Id}}' "$1" 2>/dev/null) || return 1
    [[ $id == "$2" ]] || recorded image "$1 $2 $id"
}

load_image() {
    local said id
    docker image inspect "$1" >/dev/null 2>&1 || remember loaded "$1"
    said=$(docker load --quiet --input "$BUNDLE/$3" 2>&1) || fatal "Docker could not load $3: $(reason "$said")"
    id=$(docker image inspect --format '{{.Id}}' "$1" 2>/dev/null || true)
    if docker info --format '{{.DriverStatus}}' | grep -q io.containerd.snapshotter; then remember image "$1 $2 $id"; fi
    image_is "$1" "$2" || fatal "found image $1 with ID ${id:-none} after loading it, needed $2: create the bundle again"
}

step_images() {
    local index reference id
    for ((index = 0; ; index++)); do
        reference=$(manifest "images/$index/reference")
        [[ -n $reference ]] || break
        id=$(manifest "images/$index/id")
        image_is "$reference" "$id" || change "load image $reference" load_image "$reference" "$id" "$(manifest "images/$index/file")"
    done
}

swarm_init() {
    local said
    remember swarm ""
    said=$(docker swarm init ${ADDRESS:+--advertise-addr "$ADDRESS"} 2>&1) ||
        fatal "Docker could not create a swarm ($(reason "$said")): if the server has several addresses, choose one with --address"
}

swarm_join() {
    local said
    remember swarm ""
    said=$(docker swarm join ${ADDRESS:+--advertise-addr "$ADDRESS"} --token "$TOKEN" "$MANAGER" 2>&1) ||
        fatal "the manager at $MANAGER did not accept this server ($(reason "$said")): get a fresh token with \`docker swarm join-token worker\` there"
}

step_swarm() {
    [[ $(swarm_state) != active ]] || return 0
    if [[ $FIRST == yes ]]; then change "create a swarm" swarm_init; fi
    if [[ -n $JOIN ]]; then change "join the swarm of $MANAGER" swarm_join; fi
}

# --- Undoing the recorded changes, the last one first ---------------------------------------------------------------
undo_to() {
    local lines kind what
    [[ -e $RECORD ]] || return 0
    mapfile -t lines <"$RECORD"
    while ((${#lines[@]} > $1)); do
        IFS=$'\t' read -r kind what <<<"${lines[-1]}"
        unset 'lines[-1]'
        printf '<- %s %s\n' "$kind" "$what"
        [[ $DRY_RUN == no ]] || continue
        "undo_$kind" "$what"
        sed -i '$d' "$RECORD"
    done
    if [[ $DRY_RUN == no && ! -s $RECORD ]]; then
        rm -rf "$STATE"
        rmdir --ignore-fail-on-non-empty "${STATE%/*}"
    fi
}

undo_dir() { [[ ! -d $1 ]] || rmdir --ignore-fail-on-non-empty "$1"; }
undo_file() { rm -f "$1" "$1.wanwu-new"; }
# A killed Docker may leave mounts below its own folders: unmount them first; nothing else is ever mounted there.
undo_tree() {
    local point
    while read -r point; do umount "$point"; done < <(findmnt -rno TARGET | grep -E "^$1(/|\$)" | sort -r)
    rm -rf --one-file-system "${1:?}" "$1.new"
}
undo_link() {
    if [[ -n $1 && -d $KITS/$1 ]]; then point_to "$1"; elif [[ -L $KIT ]]; then rm -f "$KIT" "$KIT.new"; fi
}
undo_moved() {
    local from=${1% *} to=${1#* }
    [[ ! -d $to || -e $from ]] || mv "$to" "$from"
}
# Remove the file unless somebody has edited it since.
undo_own() {
    rm -f "$1.wanwu-new"
    [[ ! -e $1 || $(sha256sum <"$1") != "$(cat "$STATE/cluster.written" 2>/dev/null)" ]] || rm -f "$1"
}
undo_image() { :; }
undo_loaded() { ! docker_answers || docker image rm --force "$1" >/dev/null 2>&1 || true; }
undo_swarm() { [[ $(swarm_state) =~ ^(inactive)?$ ]] || docker swarm leave --force >/dev/null 2>&1 || true; }

# Restore the file unless somebody has changed it since.
undo_kept() {
    rm -f "$1.wanwu-new"
    local written
    written=$(cat "$STATE/$(tr / _ <<<"$1").written" 2>/dev/null || true)
    if [[ -e $1 && -n $written && $(sha256sum <"$1" | cut -d ' ' -f 1) != "$written" ]]; then
        cp -a "$STATE/kept$1" "$1.before-wanwu"
        info "$1 has been changed since: it is left as it is; its original is now $1.before-wanwu"
    else
        cp -a "$STATE/kept$1" "$1"
    fi
}

undo_mount() {
    local said
    if systemd_runs; then
        rm -f "$DROP_IN" # otherwise systemd would stop Docker together with the mount
        systemctl daemon-reload
        systemctl disable --quiet --now "$UNIT" 2>/dev/null || true
    fi
    mountpoint -q "$VOLUME" || return 0
    said=$(umount "$VOLUME" 2>&1) || fatal "found $VOLUME in use ($(reason "$said")): stop the processes that use it, then run --uninstall again"
}

# All later changes are undone by now: let Docker run as it did before, or not at all.
undo_docker() {
    case $1 in
    running) if docker_answers; then restart_docker; fi ;;
    *) stop_docker ;;
    esac
    if systemd_runs; then systemctl daemon-reload; fi
}

# Purge all at once, also those of other runs: they depend on one another.
undo_packages() {
    local names=() name
    for name in $(recorded_packages); do
        ! dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null | grep -qv '^un' || names+=("$name")
    done
    [[ " ${names[*]} " != *" docker.io "* ]] || stop_docker
    if ((${#names[@]})); then
        unlocked quietly dpkg --configure -a || true
        unlocked dpkg --purge "${names[@]}" || {
            ! is_locked || fatal "found dpkg locked for too long ($(reason "$PRINTED")): stop the process that holds the lock, then run --uninstall again"
            info "some packages could not be removed, since others depend on them: $(reason "$PRINTED")"
        }
    fi
    [[ ! -e $STATE/brought ]] || remove_brought
}

remove_brought() {
    local kind what
    while read -r kind what; do
        case $kind in
        user) ! getent passwd "$what" >/dev/null || userdel "$what" 2>/dev/null || true ;;
        group) ! getent group "$what" >/dev/null || groupdel "$what" 2>/dev/null || true ;;
        path)
            if [[ -d $what && ! -L $what ]]; then
                rmdir --ignore-fail-on-non-empty "$what"
            else
                rm -f "$what"
            fi
            ;;
        esac
    done < <(sort -r "$STATE/brought")
}

# --- Main program ---------------------------------------------------------------------------------------------------
parse() {
    while (($#)); do
        case $1 in
        --bundle | --models | --cluster | --join | --gpu | --address)
            (($# > 1)) || fatal "found $1 without a value: see $0 --help"
            local name=${1#--}
            printf -v "${name^^}" %s "$2"
            shift
            ;;
        --first) FIRST=yes ;;
        --dry-run) DRY_RUN=yes ;;
        --uninstall) UNINSTALL=yes ;;
        --help)
            manual
            exit
            ;;
        *) fatal "unknown argument $1: see $0 --help" ;;
        esac
        shift
    done
    [[ $GPU == auto || $GPU == none ]] || fatal "--gpu: found $GPU, needed auto or none"
    [[ -z $CLUSTER || -r $CLUSTER ]] || fatal "--cluster: found no $CLUSTER that can be read, needed a file like the kit's compose/cluster.toml"
    [[ $FIRST == no || -z $JOIN ]] || fatal "found --first and --join, needed one of them: only one server creates the swarm"
    [[ $UNINSTALL == yes || (-n $BUNDLE && -n $MODELS) ]] || fatal "needed --bundle DIR and --models SOURCE: see $0 --help"
}

finish() {
    local status=$?
    trap - EXIT INT TERM
    if ((status)) && [[ $CHANGING == yes ]]; then
        [[ $SAID == yes ]] || printf '!! %s failed: see the output above, correct the cause and run this again\n' "${NOW:-this}" >&2
        info "undoing the changes of this run"
        undo_to "$MARK"
    fi
    [[ -z $WORK ]] || rm -rf --one-file-system "$WORK"
    exit "$status"
}

uninstall() {
    check_root
    [[ -s $RECORD ]] || { info "nothing to uninstall: no record in $STATE" && return; }
    check_not_served "$KEPT/run"
    undo_to 0
    if systemd_runs && [[ $DRY_RUN == no ]]; then systemctl daemon-reload; fi
    local left=()
    [[ ! -e $CLUSTER_FILE ]] || left+=("$CLUSTER_FILE")
    [[ ! -e $KEPT/models ]] || left+=("$KEPT/models")
    if [[ $DRY_RUN == yes ]]; then
        info "dry run: nothing was changed"
    else
        info "this server is restored$([[ -z ${left[*]} ]] || echo ", except for your own files, which are kept: ${left[*]}")"
    fi
}

initialise() {
    check_root
    detect_system
    check_bundle
    check_kit
    check_cluster
    check_machine
    check_name
    check_docker
    check_gpus
    check_models
    check_packages
    check_swarm
    info "all checks passed: $NAME, $SYSTEM"
    if [[ $DRY_RUN == no ]]; then
        CHANGING=yes
        [[ ! -e $RECORD ]] || MARK=$(wc -l <"$RECORD")
    fi
    printf '== changes begin here ==\n'
    step_packages
    step_kit
    step_volume
    step_offline
    step_slots
    step_docker
    step_images
    step_swarm
    CHANGING=no # a removed old kit cannot be restored
    step_old_kits
    summary
}

summary() {
    if ((CHANGES == 0)); then
        info "nothing changed: $NAME is up to date"
    elif [[ $DRY_RUN == yes ]]; then
        info "dry run: $CHANGES changes would be made, none was made"
    else
        info "$NAME is a member, changes made: $CHANGES"
    fi
    [[ $DRY_RUN == no ]] || return 0
    [[ $(swarm_state) == active && $(docker info --format '{{.Swarm.ControlAvailable}}') == false ]] ||
        info "to serve: list servers and models in $CLUSTER_FILE, then: cd $KIT && make up"
    if [[ $FIRST == yes ]]; then
        info "the next servers: init-server.sh --bundle DIR --models SOURCE --join $(docker swarm join-token --quiet worker)@$(docker info --format '{{.Swarm.NodeAddr}}')"
    fi
}

main() {
    parse "$@"
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    WORK=$(mktemp -d /tmp/wanwu-init.XXXXXX)
    exec 9</etc
    flock --nonblock 9 || fatal "found this script already running on this server: wait for it"
    if [[ $UNINSTALL == yes ]]; then uninstall; else initialise; fi
}

main "$@"
