# Sourced by the demos, with $root (the repository) and $dir (the demo's folder) set: builds the programs, and plays
# the platform by starting several replicas at once.
# shellcheck shell=sh disable=SC2034,SC2154

# Sets $canfar_run, $make_sky, $count_stars and $check_counts. Cargo itself says where it puts them, whatever
# CARGO_TARGET_DIR or a configuration file make of that.
build() {
    if ! command -v cargo > /dev/null; then
        echo "$0: there is no cargo to build canfar-run with: see https://rustup.rs" >&2
        return 1
    fi
    echo '--- building canfar-run and the demo (about 2 minutes, once)'
    messages=$(cd "$root" && cargo build --profile quick --locked --message-format=json-render-diagnostics \
        --bin canfar-run --example make_sky --example count_stars --example check_counts)
    canfar_run=$(built canfar-run)
    make_sky=$(built make_sky)
    count_stars=$(built count_stars)
    check_counts=$(built check_counts)
}

built() {
    from_here "$(printf '%s\n' "$messages" | sed -n "s|.*\"executable\":\"\([^\"]*/$1\)\".*|\1|p")"
}

# A path as one would type it here.
from_here() {
    printf '%s\n' "${1#"$PWD/"}"
}

# replicas N COMMAND...: starts the same command line N times, as `canfar create --replicas N` does, and waits for
# all. What they say is shown one after the other. Fails if one of them did.
replicas() {
    replica_count=$1
    shift
    started=
    failed=
    # The shell lets what runs in the background ignore Ctrl-C, so pass it on.
    trap 'kill $started || :; wait; exit 130' INT TERM
    for replica in $(seq "$replica_count"); do
        REPLICA_ID=$replica REPLICA_COUNT=$replica_count "$@" 2>"$dir/replica_$replica.log" &
        started="$started $!"
    done
    replica=0
    for process in $started; do
        replica=$((replica + 1))
        code=0
        wait "$process" || code=$?
        sed "s/^/[replica $replica] /" "$dir/replica_$replica.log"
        [ "$code" -eq 0 ] || failed="$failed $replica (exit code $code)"
    done
    trap - INT TERM
    if [ -n "$failed" ]; then
        echo "these replicas did not end well:$failed" >&2
        return 1
    fi
}

# Moves an earlier run of the demo aside: a results directory holds one run.
begin_afresh() {
    if [ -e "$1/inputs.jsonl" ]; then
        "$canfar_run" reset "$1"
    fi
}
