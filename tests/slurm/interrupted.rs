//! Jobs that are cancelled or requeued half way, and submitted again.

use super::{assert_complete, assert_ended, example, hold, let_go, names, survey, wait_for_lines};
use crate::support::{Component, Dir, Slurm, require};

/// For jobs whose replicas keep to their shares, so that it is known who is at what when they are ended.
const KEEPING_TO_SHARES: &str = "--export=ALL,CANFAR_RUN_BALANCE=false";

/// Checks that of a stopped first launch what finished is in the results and nothing counts as failed; gives how many.
#[track_caller]
fn assert_kept(dir: &Dir, replicas: usize) -> usize {
    let mut kept = Vec::new();
    for replica in 1..=replicas {
        let journal = dir.text(format!("results/journal/{replica}.1.jsonl"));
        assert!(!journal.contains(r#""status":"failed""#), "{journal}");
        let records = dir.json(format!("results/container_{replica}_results.json"));
        kept.extend(
            records.as_array().unwrap().iter().map(|record| record["file"].as_str().unwrap().to_owned()),
        );
    }
    kept.sort();
    assert_eq!(kept, dir.sorted_lines("finished"));
    kept.len()
}

/// Checks that a second time exactly the held files ran.
#[track_caller]
fn assert_only_held_ran_twice(dir: &Dir, files: usize, held: &[usize]) {
    let held = held.iter().map(|number| format!("{number:03}.fits"));
    let mut expected: Vec<String> = names(files).into_iter().chain(held).collect();
    expected.sort();
    assert_eq!(dir.sorted_lines("ran"), expected);
}

#[test]
fn an_array_that_is_cancelled_half_way_and_submitted_again_does_the_rest() {
    if !require(Component::Slurm) {
        return;
    }
    let slurm = Slurm::start();
    let dir = survey(32);
    // Of its four files, each element gets to do the first one and stays with the next two.
    let held: Vec<usize> = (0..8).flat_map(|replica| [replica * 4 + 1, replica * 4 + 2]).collect();
    hold(&dir, held.clone());
    let array = slurm.submit(&dir, &[KEEPING_TO_SHARES, &example("array.sh")]);
    wait_for_lines(&dir, "ran", 24);
    slurm.tell("scancel", &[&array]);
    let jobs = slurm.wait(&array);
    assert!(jobs.iter().all(|job| job.state == "CANCELLED"), "{jobs:?}");
    assert_eq!(assert_kept(&dir, 8), 8);

    let_go(&dir);
    let again = slurm.submit(&dir, &[KEEPING_TO_SHARES, &example("array.sh")]);
    assert_ended(&dir, &slurm.wait(&again), 8, 0);
    assert_only_held_ran_twice(&dir, 32, &held);
    assert_complete(&dir, 32, 8);
}

#[test]
fn a_step_that_is_cancelled_half_way_and_submitted_again_does_the_rest() {
    if !require(Component::Slurm) {
        return;
    }
    let slurm = Slurm::start();
    let dir = survey(16);
    let held: Vec<usize> = (0..4).flat_map(|replica| [replica * 4 + 1, replica * 4 + 2]).collect();
    hold(&dir, held.clone());
    let job = slurm.submit(&dir, &[KEEPING_TO_SHARES, &example("steps.sh")]);
    wait_for_lines(&dir, "ran", 12);
    slurm.tell("scancel", &[&job]);
    let jobs = slurm.wait(&job);
    assert!(jobs.iter().all(|job| job.state == "CANCELLED"), "{jobs:?}");
    assert_eq!(assert_kept(&dir, 4), 4);

    let_go(&dir);
    let again = slurm.submit(&dir, &[KEEPING_TO_SHARES, &example("steps.sh")]);
    assert_ended(&dir, &slurm.wait(&again), 1, 0);
    assert_only_held_ran_twice(&dir, 16, &held);
    assert_complete(&dir, 16, 4);
}

#[test]
fn a_requeued_element_goes_on_by_itself() {
    if !require(Component::Slurm) {
        return;
    }
    let slurm = Slurm::start();
    let dir = survey(8);
    hold(&dir, [5, 6]);
    let array = slurm.submit(&dir, &["--array=0-1", KEEPING_TO_SHARES, &example("array.sh")]);
    wait_for_lines(&dir, "finished", 5);
    wait_for_lines(&dir, "ran", 7);
    let element = format!("{array}_1");
    slurm.tell("scontrol", &["requeue", &element]);
    slurm.wait_for_state(&element, "PENDING");
    let_go(&dir);
    // Slurm would leave it for two minutes. A node refuses what starts in the very second in which it was ended.
    slurm.tell("scontrol", &["update", &format!("JobId={element}"), "StartTime=now+2"]);
    assert_ended(&dir, &slurm.wait(&array), 2, 0);
    assert_only_held_ran_twice(&dir, 8, &[5, 6]);
    assert_complete(&dir, 8, 2);
    let log = dir.text(format!("stars_{element}.log"));
    assert!(log.contains("launch 1") && log.contains("launch 2"), "{log}");
}
