#!/bin/sh
# Every file of data/ on Slurm, as an array job: each element is one replica.
#
#     job=$(sbatch --parsable array.sh)
#     sbatch --dependency=afterany:"$job" --wrap 'canfar-run merge results'
#
# Submitting it again, with the same --array, continues where it stopped: after scancel, a time limit or a lost node. Finished
# files are not run again.
#
# Any first element and any step will do (--array=0-7, --array=10-38:4). A list such as --array=3,7,9 is refused, since
# Slurm does not tell an element which of the three it is. To submit some elements of eight again, give their ids: put
# --replica-id "$SLURM_ARRAY_TASK_ID" --replica-count 8 into the command below; or submit all: finished ones end at once.
#
#SBATCH --job-name=stars
#SBATCH --array=1-8
#SBATCH --cpus-per-task=2
#SBATCH --mem-per-cpu=2G
#SBATCH --time=01:00:00
#SBATCH --output=%x_%A_%a.log
# After a lost node or scontrol requeue the element starts again by itself, and continues.
#SBATCH --requeue
#SBATCH --open-mode=append
# A minute before the time limit Slurm sends SIGTERM to the script, and only to the script: canfar-run stops the tasks
# cleanly. It gets the signal because the exec below makes it the script's process.
#SBATCH --signal=B:TERM@60

# exec: without it the shell dies of scancel's signal, the job is over for Slurm, and it may kill canfar-run before the
# results are written. (Tasks that were running get the signal as well; they are not failures, and run again.)
# --jobs: not every Slurm limits a job to the CPUs it asked for, so it is given here, too.
# --deadline: below --time by more than the longest task, so that none is cut off.
exec canfar-run --input 'data/*.fits' --results-dir results \
    --jobs "$SLURM_CPUS_PER_TASK" --deadline 50m -- python3 analyze.py {}
