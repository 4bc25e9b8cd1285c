//! Runs whose replicas share their work: who has what, what is left, and when all is done.

use std::collections::{BTreeMap, BTreeSet};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{TASK, agrees_with_merge, hold, let_go, name, states, status, told};
use crate::support::{DEADLINE, Dir, Run, Running, stop_process, wait_until};

/// One task at a time. Four files a share make four blocks of one file.
fn sharing(dir: &Dir, id: usize, count: usize) -> Run<'_> {
    let run = dir.launch().args(["-j", "1", "--takeover-after", "1s"]);
    run.sharing_replica(id, count).sh(TASK)
}

/// Starts it and waits until so many tasks have begun in all.
fn begin<'d>(dir: &'d Dir, run: Run<'d>, tasks: usize) -> Running<'d> {
    let running = run.start();
    wait_until(DEADLINE, "tasks begin", || dir.lines("ran").len() >= tasks);
    running
}

/// Round and share of each block with its highest claim's generation, and who made that.
type Claims = BTreeMap<(u32, u64), (u32, Option<u64>)>;

fn claims(dir: &Dir) -> Claims {
    let mut claims = Claims::new();
    let run = format!("out/claims/{}", told(dir)["run"].as_str().unwrap());
    for round in dir.names(&run) {
        for name in dir.names(format!("{run}/{round}")) {
            let Some((share, generation)) = name.split_once('.') else { continue };
            let (Ok(share), Ok(generation)) = (share.parse(), generation.parse()) else { continue };
            let claim = serde_json::from_slice::<Value>(&dir.bytes(format!("{run}/{round}/{name}")));
            let by = claim.ok().and_then(|claim| claim["replica"].as_u64());
            let known = claims.entry((round.parse().unwrap(), share)).or_insert((generation, by));
            *known = (*known).max((generation, by));
        }
    }
    claims
}

/// The indices that have a record in any journal.
fn recorded(dir: &Dir) -> BTreeSet<u64> {
    let lines =
        dir.names("out/journal").into_iter().flat_map(|name| dir.lines(format!("out/journal/{name}")));
    let events = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    events.filter(|event| event["event"] == "end").filter_map(|end| end["index"].as_u64()).collect()
}

fn sum(values: &Value, of: impl Fn(&Value) -> u64) -> u64 {
    values.as_array().unwrap().iter().map(of).sum()
}

fn number(value: &Value, member: &str) -> u64 {
    value[member].as_u64().unwrap()
}

/// What holds at every look: nothing is counted twice, and no sum differs from its parts.
#[track_caller]
fn adds_up(told: &Value, files: u64) {
    let totals = &told["totals"];
    let of_totals = [number(totals, "ok"), number(totals, "failed"), number(totals, "left")];
    assert_eq!(of_totals.iter().sum::<u64>(), files, "{told}");
    assert_eq!(sum(&told["replicas"], |row| number(row, "ok")), of_totals[0], "{told}");
    for share in told["sharing"]["shares"].as_array().unwrap() {
        let held = |member| sum(&share["held_by"], |part| number(part, member));
        let unclaimed = number(share, "unclaimed");
        assert_eq!(held("files") + unclaimed, number(share, "files"), "{told}");
        assert_eq!(held("left") + unclaimed, number(share, "left"), "{told}");
    }
    assert_eq!(sum(&told["sharing"]["shares"], |share| number(share, "files")), files, "{told}");
}

/// Whether it tells what claims and journals do, where blocks have one file each.
fn is_true(dir: &Dir, told: &Value) -> bool {
    let claims = claims(dir);
    let of_share =
        |share: &Value| claims.iter().filter(|((_, id), _)| share["share"] == *id).collect::<Vec<_>>();
    let is_right = |share: &Value| {
        let claims = of_share(share);
        let parts = share["held_by"].as_array().unwrap();
        let has_all_of = |part: &Value| {
            let held = claims.iter().filter(|(_, (_, by))| json!(by) == part["replica_id"]).count();
            part["files"] == held
        };
        number(share, "unclaimed") + claims.len() as u64 == number(share, "files")
            && share["taken_over"] == claims.iter().filter(|(_, (generation, _))| *generation > 0).count()
            && parts.iter().all(has_all_of)
    };
    let recorded = recorded(dir).len() as u64;
    told["sharing"]["shares"].as_array().unwrap().iter().all(is_right)
        && told["totals"]["left"] == number(told, "files") - recorded
}

/// The status as soon as it tells the truth about a run in which nothing moves.
#[track_caller]
fn settled(dir: &Dir) -> Value {
    let mut told = Value::Null;
    wait_until(DEADLINE, "the status is that of claims and journals", || {
        told = super::told(dir);
        adds_up(&told, number(&told, "files"));
        is_true(dir, &told)
    });
    told
}

#[test]
fn what_is_left_of_each_share_and_who_has_it_is_told_until_others_have_taken_it_over() {
    let dir = Dir::with_inputs(12);
    (1..12).for_each(|number| hold(&dir, number));
    let first = begin(&dir, sharing(&dir, 1, 3), 2);
    let at_work = settled(&dir);
    assert_eq!(states(&at_work), ["running", "waiting", "waiting"], "{at_work}");
    assert_eq!((&at_work["totals"]["ok"], &at_work["totals"]["running"]), (&json!(1), &json!(1)));
    assert_eq!((&at_work["without_owner"], &at_work["complete"]), (&json!([]), &json!(false)));
    let text = status(&dir).run().exits(0).printed();
    for line in ["share left", "3 of 4", "replicas 2-3 not started: 8 files of their shares are left, "] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    assert!(
        text.contains("; the running replicas take them as they go") && !text.contains("resume"),
        "{text}"
    );

    first.kill();
    let dead = settled(&dir);
    assert_eq!(states(&dead), ["silent", "waiting", "waiting"], "{dead}");
    assert_eq!(
        (&dead["without_owner"], &dead["sharing"]["results_to_write"]),
        (&json!([1, 2, 3]), &json!([1]))
    );
    let text = status(&dir).arg("--wait").run().exits(3).printed();
    let text = text.replace(&*dir.root().to_string_lossy(), "");
    for line in [
        "11 files are left and no replica is running. To finish them, in new containers or here:\n",
        " headless IMAGE -- canfar-run resume /out\n  canfar-run resume /out\n",
        "the results file of replica 1 is missing or out of date (merge does not need it); to write it: canfar-run resume /out",
        "share 1: 3 of 4 files left: ",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }

    let_go(&dir);
    sharing(&dir, 2, 3).run().exits(0);
    let done = settled(&dir);
    assert_eq!(states(&done), ["done", "done", "done"], "{done}");
    assert!(number(&done["sharing"], "taken_over") > 0 && number(&done["sharing"], "moved") > 4, "{done}");
    assert_eq!((&done["complete"], &done["sharing"]["results_to_write"]), (&json!(true), &json!([])));
    assert_eq!(done["replicas"][0]["ok"], 1, "{done}");
    let text = status(&dir).arg("--wait").run().exits(0).printed();
    for line in
        ["replica 3 not started: other replicas have run its share (4 files)", "taken over from a launch"]
    {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    agrees_with_merge(&dir).exits(0);
}

#[test]
fn a_container_that_was_added_has_a_row_and_no_share() {
    let dir = Dir::with_inputs(8);
    (0..8).for_each(|number| hold(&dir, number));
    let first = begin(&dir, sharing(&dir, 1, 2), 1);
    let second = begin(&dir, sharing(&dir, 2, 2), 2);
    let added = begin(&dir, dir.canfar_run().args(["resume", "out", "-j", "1"]), 3);
    let told = settled(&dir);
    assert_eq!(states(&told), ["running"; 3], "{told}");
    assert_eq!((&told["replicas"][2]["replica_id"], &told["replicas"][2]["running"]), (&json!(3), &json!(1)));
    let text = status(&dir).run().exits(0).printed();
    let row = text.lines().find(|line| line.trim_start().starts_with("3  running")).unwrap();
    assert!(row.split_whitespace().nth(7) == Some("-"), "{text}");
    let_go(&dir);
    [first, second, added].into_iter().for_each(|running| _ = running.wait().exits(0));
    let told = settled(&dir);
    assert_eq!((states(&told), &told["complete"]), (vec!["done"; 3], &json!(true)));
    agrees_with_merge(&dir).exits(0);
}

#[test]
fn what_was_taken_over_from_a_frozen_replica_is_never_counted_twice() {
    let dir = Dir::with_inputs(8);
    hold(&dir, 1);
    let frozen = begin(&dir, sharing(&dir, 1, 2), 1);
    wait_until(DEADLINE, "a task is held", || {
        dir.lines("ran").contains(&name(1)) || dir.lines("ran").len() > 4
    });
    let pid = Pid::from_raw(i32::try_from(frozen.pid()).unwrap()).unwrap();
    stop_process(pid);
    let_go(&dir);
    let mut second = sharing(&dir, 2, 2).start();
    while !second.has_ended() {
        let told = told(&dir);
        adds_up(&told, 8);
        assert!(told["complete"] == false || recorded(&dir).len() == 8, "{told}");
    }
    second.wait().exits(0);
    let told_frozen = settled(&dir);
    assert_eq!(
        (&told_frozen["complete"], &told_frozen["totals"]["ok"]),
        (&json!(true), &json!(8)),
        "{told_frozen}"
    );
    kill_process(pid, Signal::CONT).unwrap();
    frozen.wait();
    let told = settled(&dir);
    assert_eq!(
        (&told["complete"], &told["sharing"]["results_to_write"]),
        (&json!(true), &json!([])),
        "{told}"
    );
}

/// The lines of a journal up to the last `end` but so many.
fn cut_behind_an_end(dir: &Dir, journal: &str, but: usize) {
    let lines = dir.lines(journal);
    let is_end = |line: &&String| line.contains("\"event\":\"end\"");
    let ends: Vec<usize> = (0..lines.len()).filter(|at| is_end(&&lines[*at])).collect();
    let last = ends[ends.len() - 1 - but];
    dir.write(journal, lines[..=last].join("\n") + "\n");
}

#[test]
fn whole_journals_tell_where_their_ends_do_not_and_a_count_proves_nothing() {
    let dir = Dir::with_inputs(8);
    sharing(&dir, 1, 2).run().exits(0);
    let whole = settled(&dir);
    assert_eq!((&whole["complete"], &whole["sharing"]["results_to_write"]), (&json!(true), &json!([])));
    // Killed after its last record.
    cut_behind_an_end(&dir, "out/journal/1.1.jsonl", 0);
    let told = settled(&dir);
    assert_eq!((states(&told), &told["complete"]), (vec!["done"; 2], &json!(true)), "{told}");
    assert_eq!(told["sharing"]["results_to_write"], json!([1]), "its last words do not vouch for it");
    agrees_with_merge(&dir).exits(0);
    // And before that.
    cut_behind_an_end(&dir, "out/journal/1.1.jsonl", 1);
    let told = settled(&dir);
    assert_eq!((&told["complete"], &told["totals"]["left"]), (&json!(false), &json!(1)), "{told}");
    status(&dir).arg("--wait").run().exits(3);
    // Nobody can tell who has a block.
    let claim = format!("out/claims/{}/0/2.0", told["run"].as_str().unwrap());
    std::fs::remove_file(dir.path(&claim)).unwrap();
    dir.write(&claim, "");
    let told = super::told(&dir);
    adds_up(&told, 8);
    let part = &told["sharing"]["shares"][1]["held_by"];
    assert!(part.as_array().unwrap().iter().any(|part| part["replica_id"].is_null()), "{told}");
    assert!(told["complete"] == false && number(&told["totals"], "left") >= 1, "{told}");

    dir.canfar_run().args(["resume", "out", "--takeover-after", "1s"]).run().exits(0);
    let told = super::told(&dir);
    assert_eq!(
        (&told["complete"], &told["sharing"]["results_to_write"]),
        (&json!(true), &json!([])),
        "{told}"
    );
}

#[test]
fn a_replica_that_stays_until_all_is_done_merges() {
    let dir = Dir::with_inputs(8);
    (0..8).for_each(|number| hold(&dir, number));
    let killed = begin(&dir, sharing(&dir, 1, 2), 1);
    let stays =
        begin(&dir, dir.launch().args(["--merge"]).args(["-j", "1"]).sharing_replica(2, 2).sh(TASK), 2);
    killed.kill();
    let_go(&dir);
    stays.wait().exits(0);
    assert_eq!(dir.json("out/final_summary.json")["complete"], true);
}
