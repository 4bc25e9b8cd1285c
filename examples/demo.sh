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
dir=$(from_here "$dir")
build

echo '--- drawing the sky'
"$make_sky" "$dir/sky" "$dir/truth.json"

echo "--- four replicas, all at once: canfar-run -i '$dir/sky/*.fits' -o $dir/results -- count_stars {}"
begin_afresh "$dir/results"
replicas 4 "$canfar_run" -i "$dir/sky/*.fits" -o "$dir/results" -- "$count_stars" {}

echo "--- one result of four: canfar-run merge $dir/results"
"$canfar_run" merge "$dir/results"

echo '--- is it true?'
"$check_counts" "$dir/results/final_results.json" "$dir/truth.json"

cat <<END

Look closer:
    $canfar_run status $dir/results
    $canfar_run report $dir/results
Run replica 1 of 4 again, and see that it does nothing twice:
    REPLICA_ID=1 REPLICA_COUNT=4 $canfar_run -i '$dir/sky/*.fits' -o $dir/results -- $count_stars {}
END
