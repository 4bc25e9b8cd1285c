# Sourced in the repository's root by what needs other programs: installs those that are missing.
# shellcheck shell=bash disable=SC2034

have() { command -v "$1" > /dev/null 2>&1; }

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

# Python with the canfar package, astropy, sep, pandas, botocore, playwright and maturin, in a folder of its own: $python.
install_python() {
    python="$(pwd)/target/test-python"
    if ! "$python/bin/python" -c 'import canfar, astropy, sep, pandas, botocore, playwright' > /dev/null 2>&1; then
        python3 -m venv "$python"
        # canfar's command line does not import with newer versions of typer.
        "$python/bin/pip" install --quiet 'canfar==1.5.2' 'typer==0.28.0' numpy astropy sep pandas botocore playwright
    fi
    [ -x "$python/bin/maturin" ] || "$python/bin/python" -m pip install --quiet -r packaging/requirements.txt
}

# Debian 12 with python3 and pip, and nothing else, as an image of podman's. What takes a minute to make is kept in target.
install_debian() {
    local image=localhost/canfar-run-test/debian-with-pip:12 kept=target/test-debian.tar.gz root
    have podman && [ "$(id -u)" = 0 ] || return 0
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

# download_wheels FOLDER PACKAGE...: with all they need, for the Python of that Debian, once. There is no network in tests.
download_wheels() {
    local folder=$1 glibc platforms=()
    shift
    [ "$(cat "$folder/downloaded" 2> /dev/null)" != "$*" ] || return 0
    for glibc in 5 12 17 24 26 27 28 31 34 35; do platforms+=(--platform "manylinux_2_${glibc}_$(uname -m)"); done
    "$python/bin/pip" download --quiet --dest "$folder" --only-binary=:all: --implementation cp --python-version 3.11 \
        "${platforms[@]}" --platform "manylinux2014_$(uname -m)" "$@"
    echo "$*" > "$folder/downloaded"
}
