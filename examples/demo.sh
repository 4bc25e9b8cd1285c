#!/bin/sh
# From nothing but cargo to counted stars: draws 40 FITS images with a known number of stars, has four replicas at
# once count them, merges what they found, and compares it with the truth.
#
#     examples/demo.sh [FOLDER]      (default: demo, in the repository)
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
mkdir -p -- "${1:-$root/demo}"
dir=$(CDPATH='' cd -- "${1:-$root/demo}" && pwd)
# shellcheck source-path=SCRIPTDIR/..
. "$root/examples/support/simulate.sh"

echo "--- building canfar-run and the demo (about 2 minutes, once)"
build

echo '--- drawing the sky'
"$make_sky" "$dir/sky" "$dir/truth.json"

echo '--- four replicas, all at once'
begin_afresh "$dir/results"
replicas 4 "$canfar_run" --input "$dir/sky/*.fits" --results-dir "$dir/results" -- "$count_stars" {}

echo '--- one result of four'
"$canfar_run" merge "$dir/results"

echo '--- is it true?'
"$check_counts" "$dir/results/final_results.json" "$dir/truth.json"

cat <<END

The results are in $dir/results/final_results.json.
See who got what:
    $canfar_run plan --results-dir $dir/results
or launch a replica again, and see that it does nothing twice:
    REPLICA_ID=1 REPLICA_COUNT=4 $canfar_run --input '$dir/sky/*.fits' --results-dir $dir/results -- $count_stars {}
END
