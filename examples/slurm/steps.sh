#!/bin/sh
# Every file of data/ on Slurm, in one job of four tasks: each task of the step is one replica.
#
#     sbatch steps.sh
#
# Without srun there is only one process, whatever --ntasks says, and canfar-run in it takes all files. As an array of such
# jobs (sbatch --array=1-3 steps.sh) it has 3 x 4 replicas. Submitting it again continues where it stopped.
#
#SBATCH --job-name=stars
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=2
#SBATCH --mem-per-cpu=2G
#SBATCH --time=01:00:00
#SBATCH --output=%x_%j.log
#SBATCH --requeue
#SBATCH --open-mode=append

# --cpus-per-task: newer srun does not take it over from sbatch.
# --kill-on-bad-exit=0 --wait=0: whatever the site's defaults, the others continue when one has ended or had failures.
srun --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=0 --wait=0 \
    canfar-run --input 'data/*.fits' --results-dir results \
    --jobs "$SLURM_CPUS_PER_TASK" --deadline 50m -- python3 analyze.py {}
