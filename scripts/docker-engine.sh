#!/usr/bin/env bash
# Install and start a Docker engine on this machine, with Compose and buildx.
#
#     scripts/docker-engine.sh [--help]
#
# Does nothing if an engine of version 25 or newer, Compose 2.24 or newer and buildx already work. Otherwise, as root
# on Debian 12, whose own packages are too old (Docker 20.10, no Compose v2):
#   1. adds a newer Debian suite to apt's sources, on the mirror that this machine already uses, with a priority so low
#      that apt takes nothing else from it: /etc/apt/sources.list.d/wanwu-docker.sources,
#      /etc/apt/preferences.d/wanwu-docker;
#   2. installs the five packages of PACKAGES from it, and removes none;
#   3. starts the engine: with systemd if it runs, otherwise dockerd itself, detached, logging to /var/log/dockerd.log.
# It is safe to run this again at any time. To undo: remove the two files, and the packages with apt.
set -euo pipefail

SUITE=forky
PACKAGES=(docker.io docker-cli docker-compose docker-buildx containerd)
# As in scripts/host/docker.py, which gives the reasons.
DOCKER_AT_LEAST=25.0
COMPOSE_AT_LEAST=2.24
SOURCES=/etc/apt/sources.list.d/wanwu-docker.sources
PREFERENCES=/etc/apt/preferences.d/wanwu-docker
LOG=/var/log/dockerd.log
START_S=60

info() { printf -- '-- %s\n' "$*"; }

fatal() {
    printf '!! %s\n' "$*" >&2
    exit 1
}

engine_version() { docker version --format '{{.Server.Version}}' 2>/dev/null; }

compose_version() { docker compose version --short 2>/dev/null | sed 's/^v//'; }

# at_least FOUND NEEDED: succeed if version FOUND is NEEDED or newer.
at_least() { [[ $(printf '%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]; }

engine_is_new_enough() { at_least "$(engine_version)" "$DOCKER_AT_LEAST"; }

plugins_answer() { at_least "$(compose_version)" "$COMPOSE_AT_LEAST" && docker buildx version >/dev/null 2>&1; }

require_debian_12() {
    local ID="" VERSION_ID="" PRETTY_NAME="an unknown system"
    # shellcheck source=/dev/null
    [[ ! -r /etc/os-release ]] || . /etc/os-release
    [[ $ID == debian && $VERSION_ID == 12 ]] ||
        fatal "found $PRETTY_NAME, needed Debian 12: install Docker $DOCKER_AT_LEAST or newer, Compose $COMPOSE_AT_LEAST or newer and buildx by hand"
}

# Print the URI of apt's mirror of Debian 12 itself, not of its security updates.
debian_mirror() {
    local uris
    mapfile -t uris < <(apt-get indextargets --format "\$(REPO_URI)" \
        'Identifier: Packages' 'Release: bookworm' 'Component: main')
    [[ -n ${uris[0]-} ]] || fatal "found no mirror of Debian 12's main component in apt's sources: add one to /etc/apt/sources.list.d"
    printf '%s' "${uris[0]}"
}

install_packages() {
    local uri
    # shellcheck source=scripts/apt.sh
    . "$(dirname "$0")/apt.sh"
    uri=$(debian_mirror)
    info "apt: ${PACKAGES[*]} from Debian $SUITE at $uri"
    cat >"$SOURCES" <<-END
		Types: deb
		URIs: $uri
		Suites: $SUITE
		Components: main
		Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	END
    cat >"$PREFERENCES" <<-END
		Package: *
		Pin: release n=$SUITE
		Pin-Priority: 100

		Package: ${PACKAGES[*]}
		Pin: release n=$SUITE
		Pin-Priority: 990
	END
    apt_get update || fatal "apt-get update failed: $(apt_reason)"
    apt_get install --no-install-recommends --no-remove "${PACKAGES[@]}" || fatal "apt-get install failed: $(apt_reason)"
    hash -r
}

start_engine() {
    if [[ -d /run/systemd/system ]]; then
        info "starting docker with systemd"
        systemctl enable --quiet --now docker || fatal "systemd could not start docker: see journalctl --unit docker"
    else
        info "starting dockerd, log in $LOG"
        # A session of its own and no open files of the caller keep it running after the caller ends.
        setsid --fork dockerd --storage-driver overlay2 </dev/null >>"$LOG" 2>&1
    fi
    local give_up=$((SECONDS + START_S))
    while ((SECONDS < give_up)); do
        engine_version >/dev/null && return
        sleep 0.2
    done
    fatal "dockerd did not answer within $START_S seconds; $LOG ends with: $(tail -n 1 "$LOG" 2>/dev/null)"
}

main() {
    case $* in
    "") ;;
    --help)
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
        exit
        ;;
    *) fatal "unknown argument $*: see $0 --help" ;;
    esac

    if ! { engine_is_new_enough && plugins_answer; }; then
        ((EUID == 0)) || fatal "no Docker engine answers this account, and only root may install one: run this as root"
        if ! command -v dockerd >/dev/null || ! plugins_answer; then
            require_debian_12
            install_packages
        fi
        engine_version >/dev/null || start_engine
        engine_is_new_enough ||
            fatal "found engine $(engine_version), needed $DOCKER_AT_LEAST or newer: restart the engine, which is still the old one"
        plugins_answer || fatal "found Compose '$(compose_version)', needed $COMPOSE_AT_LEAST or newer and \`docker buildx\`: see \`docker info\`"
    fi
    info "Docker engine $(engine_version), Compose $(compose_version)"
}

main "$@"
