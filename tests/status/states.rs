//! Replicas that wait, run, died, stopped, were refused or are done.

use serde_json::json;

use super::{agrees_with_merge, at_work, let_go, mixed, name, replica, states, status, told};
use crate::support::Dir;

#[test]
fn each_way_to_end_looks_different_and_counts_are_those_of_merge() {
    let dir = Dir::with_inputs(28);
    let running = mixed(&dir);
    // The journal tells why, whatever became of what was said.
    std::fs::remove_file(dir.path("out/logs/5.1.err")).unwrap();
    let told = told(&dir);
    let expected = ["done", "running", "silent", "stopped", "refused", "waiting", "done"];
    assert_eq!(states(&told), expected, "{told}");
    assert_eq!(told["without_owner"], json!([3, 4, 5, 6]));
    assert_eq!(told["totals"]["running"], 2);
    let of = |id: usize, member: &str| told["replicas"][id - 1][member].clone();
    let counts = |id: usize| [of(id, "ok"), of(id, "failed"), of(id, "left"), of(id, "exit")];
    assert_eq!(counts(1), [json!(4), json!(0), json!(0), json!(0)]);
    assert_eq!(counts(2), [json!(0), json!(0), json!(4), json!(null)]);
    assert_eq!(counts(3), [json!(3), json!(0), json!(1), json!(null)]);
    assert_eq!(counts(4), [json!(3), json!(0), json!(1), json!(143)]);
    assert_eq!(counts(5), [json!(0), json!(0), json!(4), json!(2)]);
    assert_eq!(counts(7), [json!(3), json!(1), json!(0), json!(1)]);
    assert_eq!(
        (of(4, "reason"), of(5, "reason"), of(3, "session_id")),
        (json!("signal"), json!("cannot_start"), json!("s3"))
    );
    assert!(of(5, "said").as_str().unwrap().contains("broken"), "{told}");
    assert_eq!(of(6, "host"), json!(null));
    agrees_with_merge(&dir).exits(3);

    let before = dir.tree();
    let text = status(&dir).run().exits(0).printed();
    assert_eq!(before.difference(&dir.tree()), None, "it writes nothing");
    for line in [
        "replica 6 never started",
        "`canfar events s3`",
        "replica 4: launch 1 stopped early: SIGTERM (15)",
        "canfar create --name rest --replicas 4 headless IMAGE -- canfar-run resume --shares 3-6 ",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    let_go(&dir);
    running.wait().exits(0);
    agrees_with_merge(&dir).exits(3);
    dir.canfar_run().args(["resume", "out"]).run();
    agrees_with_merge(&dir).exits(1);
}

#[test]
fn failed_files_that_are_run_again_are_counted_once_whatever_becomes_of_the_launch() {
    let dir = Dir::with_inputs(6);
    (0..5).for_each(|number| _ = dir.write(format!("bad/{}", name(number)), ""));
    replica(&dir, 1, 1).run().exits(1);
    agrees_with_merge(&dir).exits(1);
    // Three fail again, one gets well, and the last is still at it.
    std::fs::remove_file(dir.path(format!("bad/{}", name(3)))).unwrap();
    std::fs::remove_file(dir.path("ran")).unwrap();
    let again = at_work(&dir, 1, 1, 4);
    agrees_with_merge(&dir).exits(1);
    let status = told(&dir);
    assert_eq!((&status["totals"]["ok"], &status["totals"]["failed"]), (&json!(2), &json!(4)));
    again.kill();
    let_go(&dir);
    agrees_with_merge(&dir).exits(1);
}

#[test]
fn a_run_of_one_replica_reads_well_and_says_what_comes_next() {
    let dir = Dir::with_inputs(2);
    replica(&dir, 1, 1).run().exits(0);
    let text = status(&dir).run().exits(0).printed();
    assert!(text.contains("its only replica: done") && !text.contains("all  "), "{text}");
    assert!(text.contains("complete; to put all results into one file: canfar-run merge "), "{text}");
}

#[test]
fn where_no_run_is_that_is_said() {
    let dir = Dir::new();
    status(&dir).run().exits(2).says("holds no run (no inputs.jsonl)");
}

#[test]
fn of_many_replicas_those_that_need_attention_have_a_row_and_all_on_request() {
    let dir = Dir::with_inputs(30);
    [1, 2].into_iter().for_each(|id| _ = replica(&dir, id, 30).run().exits(0));
    let rows = |text: &str| text.lines().filter(|line| line.contains("  done ")).count();
    let short = status(&dir).run().exits(0).printed();
    assert!(short.contains("30 replicas: 28 waiting, 2 done") && rows(&short) == 0, "{short}");
    assert!(short.contains("replicas 3-30 never started") && short.contains("--replicas 28 "), "{short}");
    let all = status(&dir).arg("--all").run().exits(0).printed();
    assert_eq!(rows(&all), 2, "{all}");
}
