#!/bin/sh
# 1000 FITS files on 100 containers of CANFAR, with its command line client (pip install canfar; canfar login).
#
#     launch.sh [flexible|fixed] [--print]
#
# flexible: each container starts with 1 core and may use up to 8 cores and 32 GB, as the node has them. Starts soonest.
# fixed:    each container has the 4 cores and 16 GB it asks for, from start to end. For runs that must be alike.
# --print:  shows what would be sent, and sends nothing.
#
# Running the same command again continues where an earlier launch stopped; nothing is run twice.
set -eu

image=images.canfar.net/myproject/stars:1.0
data='/arc/projects/myproject/data/*.fits'
results=/arc/projects/myproject/results/stars

mode=flexible
print=no
for argument; do
    case $argument in
        flexible | fixed) mode=$argument ;;
        --print) print=yes ;;
        *) echo "usage: $0 [flexible|fixed] [--print]" >&2; exit 2 ;;
    esac
done

# What runs in each container.
set -- canfar-run --input "$data" --results-dir "$results" -- python3 /opt/analysis/analyze_fits.py {}

# The platform joins these words with spaces and splits them again, and refuses $ and double quotes. What needs a space
# or a quote belongs into a job file: see ../job.toml.
for word; do
    case $word in
        '' | *[[:space:]\$\"\'\\]*) echo "this word would not arrive as it is: '$word'" >&2; exit 2 ;;
    esac
done

case $mode in
    flexible) set -- headless "$image" -- "$@" ;;
    fixed) set -- --cpu 4 --memory 16 headless "$image" -- "$@" ;;
esac
set -- canfar create --name stars --replicas 100 "$@"

if [ "$print" = yes ]; then
    for word; do
        case $word in
            *[!A-Za-z0-9_./:=-]*) printf "'%s' " "$word" ;;
            *) printf '%s ' "$word" ;;
        esac
    done
    echo
    exit
fi
exec "$@"
