#!/bin/sh
# The two stages on this machine, with a few simulated replicas: calibrate, count the stars, compare with the truth. The job files are the ones for CANFAR; only what is about places is replaced by flags.
# Needs cargo, and a Python with astropy and sep (PYTHON names another one than python3).
#
#     examples/two_stage/local.sh [FOLDER]      (default: demo/two_stage, in the repository)
set -eu

python=${PYTHON:-python3}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
mkdir -p -- "${1:-$root/demo/two_stage}"
dir=$(CDPATH='' cd -- "${1:-$root/demo/two_stage}" && pwd)
# shellcheck source-path=SCRIPTDIR/../..
. "$root/examples/support/simulate.sh"

if ! "$python" -c 'import astropy, sep'; then
    echo "$0: $python has no astropy or no sep: $python -m pip install astropy sep, or set PYTHON" >&2
    exit 1
fi

build
"$make_sky" "$dir/sky" "$dir/truth.json" 12

echo '--- stage 1: three replicas calibrate'
begin_afresh "$dir/stage1"
replicas 3 "$canfar_run" --job-file "$here/stage1.toml" --jobs 1 \
    --input "$dir/sky/**/*.fits" --product "$dir/calibrated/{rel}" --results-dir "$dir/stage1" \
    -- "$python" "$here/calibrate.py" {} '{out}'

echo '--- stage 2: two replicas count'
begin_afresh "$dir/stage2"
replicas 2 "$canfar_run" --job-file "$here/stage2.toml" --jobs 1 \
    --input-from "$dir/stage1" --results-dir "$dir/stage2" \
    -- "$python" "$root/examples/analyze_fits.py" {}
"$canfar_run" merge "$dir/stage2"

echo '--- is it true?'
"$check_counts" "$dir/stage2/final_results.json" "$dir/truth.json"
