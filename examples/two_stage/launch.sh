#!/bin/sh
# Two stages on CANFAR: 50 replicas calibrate, 10 count the stars of what came out.
#
#     launch.sh 1 [--print]    launches stage 1 (again: what is left of it)
#     launch.sh 2 [--print]    launches stage 2, when stage 1 is complete
#
# --print shows what would be done, and does nothing. What each stage does is in stage1.toml and stage2.toml, which are on
# /arc beside the scripts.
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

case ${2-} in
    '') run= ;;
    --print) run=show ;;
    *) set -- usage ;;
esac
case ${1-} in
    1) launch 1 50 ;;
    2) launch 2 10 ;;
    *) echo "usage: $0 1|2 [--print]" >&2; exit 2 ;;
esac
