//! The summaries: what failed and why, what was used, and lines to type that do what they say.

use super::{inputs, launch, redacted, release_all, task};
use crate::support::{DEADLINE, Dir, Ended, wait_until};

/// The words of the line to type that follows `before`.
#[track_caller]
fn to_type(ended: &Ended, before: &str) -> Vec<String> {
    let (_, line) =
        ended.stderr.split_once(before).unwrap_or_else(|| panic!("{before:?} is not in\n{ended}"));
    let line = line.lines().next().unwrap().split([',', ';']).next().unwrap();
    line.split(' ').map(str::to_owned).collect()
}

/// Two replicas, of which the second has a failure.
fn two_replicas() -> Dir {
    let dir = inputs(8, [], &[5, 6]);
    task(launch(&dir, 1, 2)).run().exits(0);
    task(launch(&dir, 2, 2)).run().exits(1);
    dir
}

#[test]
fn what_failed_is_run_again_by_the_line_that_a_launch_says() {
    let dir = inputs(8, [], &[5, 6]);
    let ended = task(launch(&dir, 2, 2)).run().exits(1);
    std::fs::remove_dir_all(dir.path("bad")).unwrap();
    let words = to_type(&ended, "try just the failed files again, or run: canfar-run ");
    let resumed = dir.canfar_run().args(&words).run().exits(0);
    assert_eq!(dir.events_of(2, 2, "start").len(), 2, "{resumed}");
    assert!(!dir.exists("out/journal/1.1.jsonl"), "another share was begun: {resumed}");
}

#[test]
fn a_merge_tells_what_failed_what_was_used_and_how_to_go_on() {
    let dir = two_replicas();
    let ended = dir.canfar_run().args(["merge", "out"]).run().exits(1);
    insta::assert_snapshot!(redacted(&dir, &ended.stderr));
    std::fs::remove_dir_all(dir.path("bad")).unwrap();
    let words = to_type(&ended, "run just the failed ones again: canfar-run ");
    dir.canfar_run().args(&words).run().exits(0);
    dir.canfar_run().args(["merge", "out"]).run().exits(0);
}

#[test]
fn figures_of_a_launch_and_of_a_merge_agree() {
    let dir = inputs(8, [], &[]);
    let launches: Vec<_> =
        (1..=2).map(|id| task(launch(&dir, id, 2).arg("--json")).run().exits(0).json()).collect();
    let merged = dir.canfar_run().args(["merge", "out", "--json"]).run().exits(0).json();
    let figures = &merged["figures"];
    assert_eq!((&figures["attempts"], &figures["launches"]), (&8.into(), &2.into()), "{figures}");
    assert_eq!(figures["launches_untold"], 0);
    let sum = |name: &str| -> f64 { launches.iter().map(|one| one["figures"][name].as_f64().unwrap()).sum() };
    for name in ["cpu_s", "wall_s"] {
        assert!((figures[name].as_f64().unwrap() - sum(name)).abs() < 0.01, "{name}: {figures}");
    }
    let longest = |told: &serde_json::Value| told["figures"]["duration_s"]["max"].as_f64().unwrap();
    let largest = launches.iter().map(longest).fold(0.0, f64::max);
    assert!((longest(&merged) - largest).abs() < 0.001, "{figures}");
    assert_eq!(figures["begun_at"], launches[0]["figures"]["begun_at"]);
    assert_eq!(figures["slowest"].as_array().unwrap().len(), 3);
    assert_eq!(dir.json("out/final_summary.json")["figures"], *figures);
}

#[test]
fn launches_that_died_are_counted_as_such() {
    let dir = inputs(4, [3], &[]);
    let running = task(launch(&dir, 1, 1)).start();
    wait_until(DEADLINE, "three records", || dir.events_of(1, 1, "end").len() == 3);
    running.kill();
    release_all(&dir);
    task(launch(&dir, 1, 1)).run().exits(0);
    let merged = dir.canfar_run().args(["merge", "out", "--json"]).run().exits(0);
    let merged = merged.says("1 launch within ").says("1 more with unknown figures");
    let figures = &merged.json()["figures"];
    assert_eq!((&figures["launches"], &figures["launches_untold"]), (&1.into(), &1.into()), "{figures}");
}
