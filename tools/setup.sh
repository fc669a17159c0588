# Shared by tools/run, tools/test, tools/coverage, tools/sanitize and .ci/run: installs what is missing and builds. Sourced, not run.

say() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
}

die() {
    say "$*"
    exit 1
}

# install PACKAGE...: installs those Debian packages that are not there yet.
install() {
    local missing=() package
    command -v dpkg-query >/dev/null ||
        die "this script knows Debian and its relatives only; install what README.md lists and use meson"
    for package in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "installing ${missing[*]}"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            die "cannot install packages: run this as root, or have somebody run: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    local log
    log=$(mktemp)
    if ! { "${as_root[@]}" apt-get update -q &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install ${missing[*]} (see above)"
    fi
    rm -f "$log"
}

# build FOLDER [MESON OPTION...]: sets the build folder up, unless it is, and compiles.
build() {
    local folder=$1 log
    shift
    if [ ! -f "$folder/build.ninja" ]; then
        say "setting up $folder"
        log=$(mktemp)
        if ! meson setup "$folder" "$@" >"$log" 2>&1; then
            tail -n 20 "$log" >&2
            rm -f "$log"
            die "meson could not set up $folder (see above)"
        fi
        rm -f "$log"
    fi
    say "building $folder"
    ninja -C "$folder" --quiet || die "the build failed (see above)"
}

# node_clients FOLDER: puts the Node.js clients that tests talk to the server with into the build folder, in
# the versions of tests/clients/package-lock.json. Without a network their tests are skipped.
node_clients() {
    local folder=$1/tests/clients
    # A Node.js that does not come from Debian brings its own npm.
    command -v npm >/dev/null || install nodejs npm
    cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed" && return 0
    say "installing Node.js clients in $folder"
    if npm ci --prefix "$folder" --no-audit --no-fund --ignore-scripts --loglevel error >&2; then
        cp "$folder/package-lock.json" "$folder/node_modules/.installed"
    else
        say "npm could not install them (see above): their tests are skipped"
    fi
}

BUILD_PACKAGES=(gcc libc6-dev meson ninja-build pkg-config
    libglib2.0-dev liburcu-dev libxxhash-dev liblmdb-dev libmicrohttpd-dev libssl-dev)
TEST_PACKAGES=(libcmocka-dev redis-server g++ python3 spin libjansson-dev
    python3-redis redis-tools abigail-tools memcached)
COVERAGE_PACKAGES=(gcovr)
ANALYSIS_PACKAGES=(clang clang-tidy cppcheck)
PACKAGE_PACKAGES=(dpkg-dev debhelper lintian fakeroot lowdown libjansson-dev)
