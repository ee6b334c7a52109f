#!/usr/bin/env bash
# Sourced by base-image.sh and docker-engine.sh: run apt-get, waiting while another apt holds its locks.

APT_LOCK_S=600 # an upgrade in the background may take minutes

# apt_get ARGUMENTS...: run apt-get, and again while another apt holds a lock; its output is in APT_PRINTED. apt's own
# DPkg::Lock::Timeout covers neither the lock on its lists nor the one on its archives.
apt_get() {
    local give_up=$((SECONDS + APT_LOCK_S)) told=no holder
    # RUNLEVEL=1 keeps packages from starting their services.
    until APT_PRINTED=$(LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq --yes "$@" 2>&1); do
        [[ $APT_PRINTED == *"Could not get lock "* ]] && ((SECONDS < give_up)) || return 1
        holder=${APT_PRINTED#*Could not get lock }
        [[ $told == yes ]] ||
            printf -- '-- waiting up to %s minutes for another apt, which holds %s\n' $((APT_LOCK_S / 60)) "${holder%%$'\n'*}"
        told=yes
        sleep 1
    done
}

# apt_reason: print the line of APT_PRINTED that says why apt-get failed.
apt_reason() {
    grep -m 1 '^E:' <<<"$APT_PRINTED" || tail -n 1 <<<"$APT_PRINTED"
}
