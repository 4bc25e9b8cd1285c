//! Which share an element, a step's task or a batch script takes.

use super::{assert_complete, assert_ended, example, names, survey};
use crate::support::{Component, Slurm, require};

#[test]
fn an_array_of_eight_runs_each_file_once_and_the_job_after_it_merges() {
    if !require(Component::Slurm) {
        return;
    }
    let slurm = Slurm::start();
    let dir = survey(24);
    let array = slurm.submit(&dir, &[&example("array.sh")]);
    let after = format!("--dependency=afterany:{array}");
    let merge = slurm.submit(&dir, &[&after, "--output=merge.log", "--wrap", "canfar-run merge results"]);
    assert_ended(&dir, &slurm.wait(&array), 8, 0);
    assert_ended(&dir, &slurm.wait(&merge), 1, 0);
    assert!(dir.text("merge.log").contains("24 files: 24 ok, none missing"), "{}", dir.text("merge.log"));
    assert_eq!(dir.sorted_lines("ran"), names(24));
    assert_complete(&dir, 24, 8);
    let log = dir.text(format!("stars_{array}_5.log"));
    assert!(log.contains("replica 5 of 8") && log.contains("2 tasks at a time"), "{log}");
}

#[test]
fn any_base_and_step_steps_and_both_together_share_out_all_files() {
    if !require(Component::Slurm) {
        return;
    }
    let slurm = Slurm::start();
    for (script, options, elements, replicas) in [
        ("array.sh", &["--array=10-38:4"][..], 8, 8),
        ("array.sh", &["--array=42"], 1, 1),
        ("steps.sh", &[], 1, 4),
        ("steps.sh", &["--nodes=2", "--array=5-9:4"], 2, 8),
        // The one element's script would be alone without srun, too.
        ("array.sh", &["--array=0", "--ntasks=4"], 1, 1),
    ] {
        let dir = survey(16);
        let job = slurm.submit(&dir, &[options, &[&example(script)]].concat());
        assert_ended(&dir, &slurm.wait(&job), elements, 0);
        assert_eq!(dir.sorted_lines("ran"), names(16), "{script} {options:?}");
        assert_complete(&dir, 16, replicas);
    }
}

#[test]
fn a_batch_script_is_alone_whatever_its_number_of_tasks() {
    if !require(Component::Slurm) {
        return;
    }
    let slurm = Slurm::start();
    let dir = survey(4);
    let line = "exec canfar-run --input 'data/*.fits' -- python3 analyze.py {}";
    let job = slurm.submit(&dir, &["-n", "4", "--output=batch.log", "--wrap", line]);
    assert_ended(&dir, &slurm.wait(&job), 1, 0);
    assert!(dir.text("batch.log").contains("this replica takes all files"), "{}", dir.text("batch.log"));
    assert_complete(&dir, 4, 1);
}

#[test]
fn elements_at_no_one_distance_are_refused_and_told_how_to_go_on() {
    if !require(Component::Slurm) {
        return;
    }
    let slurm = Slurm::start();
    let dir = survey(4);
    let array = slurm.submit(&dir, &["--array=3,7,9", &example("array.sh")]);
    assert_ended(&dir, &slurm.wait(&array), 3, 2);
    for element in [3, 7, 9] {
        let log = dir.text(format!("stars_{array}_{element}.log"));
        for said in [&format!("SLURM_ARRAY_TASK_ID={element}"), "--array=1-3", "--replica-id"] {
            assert!(log.contains(said), "{log}");
        }
    }
    assert!(!dir.exists("results"));
    // Some elements of eight, as the example's comments say it.
    let line = "exec canfar-run --replica-id \"$SLURM_ARRAY_TASK_ID\" --replica-count 4 \\
        --input 'data/*.fits' -- python3 analyze.py {}";
    for elements in ["--array=1,2,4", "--array=3"] {
        let array = slurm.submit(&dir, &[elements, "--output=again.log", "--wrap", line]);
        slurm.wait(&array);
    }
    assert_complete(&dir, 4, 4);
}
