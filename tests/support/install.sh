# Sourced in the repository's root by what needs other programs: installs those that are missing.
# shellcheck shell=bash disable=SC2034

have() { command -v "$1" > /dev/null 2>&1; }

is_ci() { [ "${CI:-}" = true ]; }

# Only root can start the containers of tests.
has_containers() { have podman && [ "$(id -u)" = 0 ]; }

# if_possible COMMAND...: in CI it has to succeed; elsewhere, what needs it is skipped. Not behind `if` or `||`: `set -e` would
# not hold in it.
if_possible() {
    local code
    set +e
    (set -e; "$@")
    code=$?
    set -e
    [ "$code" = 0 ] || ! is_ci || exit "$code"
    [ "$code" = 0 ] || echo "warning: failed with exit code $code, and tests that need it are skipped: $*" >&2
}

# install_packages PACKAGE...: from Debian, where this may be done.
install_packages() {
    if [ $# -gt 0 ] && have apt-get && [ "$(id -u)" = 0 ]; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
    fi
}

# install_missing PROGRAM='PACKAGE...' ...: the packages of programs that are not there.
install_missing() {
    local wanted packages=()
    for wanted in "$@"; do
        # Several packages may bring one program.
        # shellcheck disable=SC2206
        have "${wanted%%=*}" || packages+=(${wanted#*=})
    done
    install_packages "${packages[@]}"
}

# A folder with a Python of its own, and what goes into it.
python="$(pwd)/target/test-python"
requirements=(tests/support/requirements.txt packaging/requirements.txt)

# Again when that has changed.
install_python() {
    cat "${requirements[@]}" | cmp -s - "$python/installed" && return
    python3 -m venv "$python"
    "$python/bin/python" -m pip install --quiet "${requirements[@]/#/--requirement=}"
    cat "${requirements[@]}" > "$python/installed"
}

# Debian 12 with python3 and pip, and nothing else, as an image of podman's. What takes a minute to make is kept in target.
install_debian() {
    local image=localhost/canfar-run-test/debian-with-pip:12 kept=target/test-debian.tar.gz root
    has_containers || return 0
    podman image exists "$image" && return
    if [ ! -e "$kept" ]; then
        install_missing debootstrap=debootstrap
        root=$(mktemp -d)
        # No index of packages: whoever wants more of them has to ask for it first, as in any image.
        debootstrap --variant=minbase --include=python3-pip bookworm "$root" > "$root.log" || { cat "$root.log" >&2; return 1; }
        tar -C "$root" --exclude='./var/cache/apt/archives/*.deb' --exclude='./var/lib/apt/lists/*' -czf "$kept.new" .
        rm -rf --one-file-system "$root" "$root.log"
        mv "$kept.new" "$kept"
    fi
    podman import --quiet "$kept" "$image" > /dev/null
}

# download_wheels FOLDER PACKAGE...: with all they need, for the Python of that Debian, once for each state of the requirements.
# There is no network in tests.
download_wheels() {
    local folder=$1 wanted glibc platforms=()
    shift
    wanted="$*
$(cat "${requirements[0]}")"
    [ "$(cat "$folder/downloaded" 2> /dev/null)" != "$wanted" ] || return 0
    for glibc in 5 12 17 24 26 27 28 31 34 35; do platforms+=(--platform "manylinux_2_${glibc}_$(uname -m)"); done
    "$python/bin/pip" download --quiet --dest "$folder" --only-binary=:all: --implementation cp --python-version 3.11 \
        "${platforms[@]}" --platform "manylinux2014_$(uname -m)" --constraint "${requirements[0]}" "$@"
    echo "$wanted" > "$folder/downloaded"
}
