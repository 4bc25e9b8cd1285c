#!/bin/sh
# Every file of /survey/data on AWS Batch, as an array job: each child is one replica.
#
#     launch.sh define      tells AWS what to run (job_definition.json); again after changes
#     launch.sh submit      8 replicas (submit_array.json); again: continues where it stopped
#     launch.sh merge       when they have ended: all results in one file, with proof (submit_merge.json)
#
# Replace image, queue and file system with yours. AWS tells each child its index and the size of the array, so
# no count is given. An array has at least two children; a job without arrayProperties is one replica of one.
#
# job_definition.json: --jobs is given, since on EC2 a VCPU is a share of the host and not a limit that can be read. An attempt
# that failed (files failed, out of memory, its host taken away) is repeated, up to three in all, and runs what is left;
# not after exit code 2, wrong usage, which would fail each time. --deadline is below the time limit by more than the
# longest task, so that none is cut off. At the limit AWS sends SIGTERM and, 30 seconds later, SIGKILL; canfar-run needs 25.
set -eu
cd "$(dirname "$0")"

case ${1-} in
    define) aws batch register-job-definition --cli-input-json file://job_definition.json ;;
    submit) aws batch submit-job --cli-input-json file://submit_array.json ;;
    merge) aws batch submit-job --cli-input-json file://submit_merge.json ;;
    *) echo "usage: $0 define|submit|merge" >&2; exit 2 ;;
esac
