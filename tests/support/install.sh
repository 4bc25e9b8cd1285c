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

# Python with the canfar package, astropy, sep, botocore and playwright, in a folder of its own: $python.
install_python() {
    python="$(pwd)/target/test-python"
    if ! "$python/bin/python" -c 'import canfar, astropy, sep, botocore, playwright' > /dev/null 2>&1; then
        python3 -m venv "$python"
        # canfar's command line does not import with newer versions of typer.
        "$python/bin/pip" install --quiet 'canfar==1.5.2' 'typer==0.28.0' numpy astropy sep botocore playwright
    fi
}
