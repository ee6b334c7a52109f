# The base with all of Debian's updates, for `make update APPLY=1`. Its secrets are those of worker/Dockerfile.
ARG BASE=debian:bookworm-slim
FROM ${BASE} AS base
RUN --mount=type=secret,id=ca-certificates.crt \
    --mount=type=secret,id=debian.sources,target=/etc/apt/sources.list.d/debian.sources \
    --mount=type=tmpfs,target=/var/lib/apt/lists --mount=type=tmpfs,target=/var/cache/apt --mount=type=tmpfs,target=/var/log <<'END'
set -eu
ca=/run/secrets/ca-certificates.crt
[ ! -f $ca ] || set -- -o Acquire::https::CAInfo=$ca
apt-get -qq "$@" update
DEBIAN_FRONTEND=noninteractive apt-get -qq --yes "$@" upgrade >/dev/null
END
