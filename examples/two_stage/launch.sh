#!/bin/sh
# Two stages on CANFAR: 50 replicas calibrate, 10 count the stars of what came out.
#
#     launch.sh 1 [--print]          launches stage 1 (again: what is left of it)
#     launch.sh between [--print]    merges it, and proves it complete; where /arc can be seen, as in a notebook
#     launch.sh 2 [--print]          launches stage 2
#
# --print shows what would be done, and does nothing. Everything with a space or a quote is in stage1.toml and
# stage2.toml, which lie on /arc beside the scripts.
set -eu

image=images.canfar.net/myproject/stars:1.0
project=/arc/projects/myproject

show() {
    printf '%s ' "$@"
    echo
}

launch() {
    stage=$1
    replicas=$2
    $run canfar create --name "stage$stage" --replicas "$replicas" headless "$image" -- \
        canfar-run --job-file "$project/two_stage/stage$stage.toml"
}

# Exit code 1 means: complete, but some files failed. Stage 2 can do without them, and they are listed.
complete_or_failures() {
    code=0
    $run "$@" || code=$?
    if [ "$code" -gt 1 ]; then
        echo "stage 1 is not complete: launch it again, it goes on where it stopped" >&2
        exit "$code"
    fi
}

between() {
    complete_or_failures canfar-run merge --missing "$project/results/uncalibrated.txt" "$project/results/stage1"
}

case ${2-} in
    '') run= ;;
    --print) run=show ;;
    *) set -- usage ;;
esac
case ${1-} in
    1) launch 1 50 ;;
    between) between ;;
    2) launch 2 10 ;;
    *) echo "usage: $0 1|between|2 [--print]" >&2; exit 2 ;;
esac
