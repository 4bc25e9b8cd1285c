//! `plan` says what `run` will do, and does nothing.

use std::os::unix::fs::PermissionsExt;

use canfar_run::testing::Strategy;
use serde_json::{Value, json};

use crate::support::{Dir, Ended};

/// 23 inputs of various sizes, one of them large.
fn inputs() -> Dir {
    let dir = Dir::new();
    for number in 0..23_usize {
        let size = if number == 3 { 5000 } else { number * number * 7 % 100 };
        dir.write(format!("data/{number:03}.fits"), "x".repeat(size));
    }
    dir
}

fn plan(dir: &Dir, args: &[&str]) -> Ended {
    dir.canfar_run().arg("plan").args(args).run()
}

/// The paths a replica would be given, as its dry run prints them.
fn dry_run(dir: &Dir, args: &[&str], id: u64, count: u64) -> Vec<String> {
    let (id, count) = (id.to_string(), count.to_string());
    let launch = dir.canfar_run().args(["-n", "--replica-id", &id, "--replica-count", &count]).args(args);
    // The run may have another command: what matters is whose files they are.
    let ended = launch.args(["--accept-changed-command", "--", "true", "{}"]).run().exits(0);
    ended.printed().lines().map(|line| line.strip_prefix("true ").unwrap().to_owned()).collect()
}

/// Checks every row of a plan against the dry run of its replica, and that they are the whole list together.
fn check_rows(dir: &Dir, plan: &Value, dry_args: &[&str], list: &[String]) {
    let count = plan["replica_count"].as_u64().unwrap();
    let mut all = Vec::new();
    for row in plan["replicas"].as_array().unwrap() {
        let paths = dry_run(dir, dry_args, row["replica_id"].as_u64().unwrap(), count);
        assert_eq!(row["files"], paths.len(), "{row}");
        assert_eq!((&row["first"], &row["last"]), (&json!(paths.first()), &json!(paths.last())), "{row}");
        if !row["bytes"].is_null() {
            let bytes: usize = paths.iter().map(|path| dir.bytes(path).len()).sum();
            assert_eq!(row["bytes"], bytes, "{row}");
        }
        all.extend(paths);
    }
    all.sort();
    assert_eq!(all, list);
    assert_eq!(plan["files"], list.len());
    let empty = plan["replicas"].as_array().unwrap().iter().filter(|row| row["files"] == 0).count();
    assert_eq!(plan["empty"], empty);
}

/// Paths of the inputs, in order.
fn paths(dir: &Dir, numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    let path = |number| dir.path(format!("data/{number:03}.fits")).display().to_string();
    numbers.into_iter().map(path).collect()
}

#[test]
fn every_row_is_what_that_replica_would_run_whatever_the_strategy() {
    let dir = inputs();
    for strategy in Strategy::ALL {
        for count in ["1", "4", "30"] {
            let args = ["-i", "data/*.fits", "--strategy", &strategy.to_string()];
            let ended = plan(&dir, &[&args[..], &["--json", "--replica-count", count]].concat()).exits(0);
            check_rows(&dir, &ended.json(), &args, &paths(&dir, 0..23));
            assert_eq!(ended.json()["strategy"], strategy.to_string());
            assert_eq!(ended.json()["bytes"], 5000 + (0..23).map(|n| n * n * 7 % 100).sum::<u64>() - 63);
        }
    }
    assert!(!dir.exists("results"));
}

#[test]
fn the_table_says_the_same_in_words() {
    let dir = Dir::with_inputs(5);
    let ended = plan(&dir, &["-i", "data/*.fits", "--replica-count", "7", "--balance=false"]).exits(0);
    let below =
        format!("5 files, 5 B, 7 replicas, strategy even; names are below {}/\n", dir.path("data").display());
    let table = below
        + "
replica      files         size  first .. last
      1          1          1 B  000.fits
      2          1          1 B  001.fits
      3          1          1 B  002.fits
      4          1          1 B  003.fits
      5          1          1 B  004.fits
      6          0          0 B  nothing to do
      7          0          0 B  nothing to do

2 replicas have nothing to do

strategy  largest share                largest/mean   empty
even             1 file           1 B          1.40       2 <
chunk            1 file           1 B          1.40       2
stripe           1 file           1 B          1.40       2
size             1 file           1 B          1.40       2
";
    let ended = ended.prints(&table);
    assert_eq!(ended.stderr, "", "nothing can be done better");
    let two = plan(&dir, &["-i", "data/*.fits", "--replica-count", "2"]).exits(0);
    assert!(two.printed().contains("      1          3          3 B  000.fits .. 002.fits\n"), "{two}");
}

#[test]
fn a_far_too_large_share_and_a_better_strategy_are_named() {
    let dir = Dir::with_inputs(199);
    let chunk = ["-i", "data/*.fits", "--replica-count", "100", "--strategy"];
    let advised = |strategy: &'static str| plan(&dir, &[&chunk[..], &[strategy]].concat()).exits(0);
    advised("chunk").says("the largest share is ").says(" times the mean; with --strategy ");
    let json = plan(&dir, &[&chunk[..], &["chunk", "--json"]].concat()).exits(0).says("with --strategy");
    assert_eq!(json.json()["strategies"][1]["most_files"], 100);
    for strategy in ["even", "stripe", "size"] {
        advised(strategy).says_not("the largest share");
    }
    // Also where nothing has a size.
    for number in 0..199 {
        dir.write(format!("data/{number:03}.fits"), "");
    }
    advised("chunk")
        .says("the largest share is 50.3 times the mean; with --strategy even it would be 1.0 times");
}

#[test]
fn what_shares_mean_for_absent_replicas_is_said() {
    let dir = Dir::with_inputs(5);
    let of =
        |args: &[&str]| plan(&dir, &[&["-i", "data/*.fits", "--replica-count", "2"], args].concat()).exits(0);
    let (shared, kept) =
        ("continue with files that no replica has begun", "a replica that never starts are left to");
    for (args, balance, is_shared, is_kept) in [
        (&["--balance"][..], true, true, false),
        (&["--balance=false"], false, false, false),
        (&["--strategy", "chunk"], false, false, true),
        (&["--strategy", "stripe", "--balance"], true, true, false),
    ] {
        let table = of(args).printed();
        assert_eq!(
            (table.contains(shared), table.contains(kept)),
            (is_shared, is_kept),
            "{args:?}:\n{table}"
        );
        assert_eq!(of(&[args, &["--json"]].concat()).json()["balance"], balance, "{args:?}");
    }
    let one = plan(&dir, &["-i", "data/*.fits", "--replica-count", "1", "--balance", "--json"]);
    assert_eq!(one.exits(0).json()["balance"], false);
    let run = |args: &[&str]| {
        let identity = ["--replica-id", "1", "--replica-count", "2"];
        dir.launch().args(identity).args(args).args(["--", "true"]).run().exits(0)
    };
    run(&["-n", "--balance"]).says(shared);
    run(&["-n", "--balance=false"]).says_not(shared);
    run(&["--balance"]);
    run(&["-n"]).says(shared);
    assert_eq!(plan(&dir, &["-o", "out", "--json"]).exits(0).json()["balance"], true);
}

#[test]
fn one_huge_file_is_nobodys_fault() {
    let dir = Dir::with_inputs(3);
    dir.write("data/001.fits", "x".repeat(9999));
    plan(&dir, &["-i", "data/*.fits", "--replica-count", "3"]).exits(0).says_not("the largest share");
}

#[test]
fn a_run_that_has_begun_is_planned_by_its_own_list() {
    let dir = inputs();
    let launch = |strategy| dir.launch().args(["--strategy", strategy]).replica(2, 4);
    launch("stripe").sh("true").run().exits(0);
    let list = paths(&dir, 0..23);
    // What appears or goes afterwards changes nothing but sizes.
    dir.write("data/000.early.fits", "");
    let own = plan(&dir, &["-o", "out", "--json"]).exits(0).json();
    assert_eq!((&own["strategy"], &own["replica_count"]), (&json!("stripe"), &json!(4)));
    check_rows(&dir, &own, &["-o", "out"], &list);
    std::fs::remove_file(dir.path("data/022.fits")).unwrap();
    let own = plan(&dir, &["-o", "out", "--json"]).exits(0).json();
    assert_eq!((&own["files"], &own["bytes"]), (&json!(23), &Value::Null));

    // For another number of replicas it is still this list.
    let other = plan(&dir, &["-o", "out", "--json", "--replica-count", "23"]).exits(0).json();
    let rows = other["replicas"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["first"].as_str().unwrap()).collect::<Vec<_>>(), list);
    // With an input, there it is what a new run would be.
    let new =
        plan(&dir, &["-i", "data/*.fits", "-o", "out", "--json", "--replica-count", "1"]).exits(0).json();
    assert_eq!(new["replicas"][0]["first"], json!(dir.path("data/000.early.fits")));

    plan(&dir, &["-o", "nowhere"])
        .exits(2)
        .says("no input: say which files with --input")
        .says("nowhere holds none");
}

#[test]
fn a_run_shared_out_by_size_keeps_the_sizes_it_began_with() {
    let dir = inputs();
    dir.launch().args(["--strategy", "size"]).replica(1, 4).sh("true").run().exits(0);
    let before = plan(&dir, &["-o", "out", "--json"]).exits(0).json();
    dir.write("data/000.fits", "x".repeat(100_000));
    assert_eq!(plan(&dir, &["-o", "out", "--json"]).exits(0).json(), before);
    let own = dir.results(1);
    assert_eq!(before["replicas"][0]["files"], own.len());
    assert_eq!(before["replicas"][0]["first"], own[0]["canfar_run"]["path"]);
}

#[test]
fn names_that_are_no_files_have_no_sizes_and_are_planned_all_the_same() {
    let dir = Dir::new();
    dir.write("targets", "NGC 1275\nM 31\n/data/odd\u{1b}[31m\n\nM 31\nz = 0.5\n");
    let args = ["--files-from", "targets"];
    let ended = plan(&dir, &[&args[..], &["--replica-count", "3"]].concat())
        .exits(0)
        .says("1 entry repeated in the list");
    let rows = "
      1          2            -  NGC 1275 .. M 31
      2          1            -  /data/odd\\u{1b}[31m
      3          1            -  z = 0.5
";
    assert!(ended.printed().contains(rows), "{ended}");
    assert!(ended.printed().starts_with("4 files, 3 replicas, strategy even\n"), "{ended}");
    let json = plan(&dir, &[&args[..], &["--replica-count", "3", "--json"]].concat()).exits(0).json();
    assert_eq!((&json["bytes"], &json["replicas"][0]["bytes"]), (&Value::Null, &Value::Null));
    let strategies: Vec<&Value> =
        json["strategies"].as_array().unwrap().iter().map(|one| &one["strategy"]).collect();
    assert_eq!(strategies, ["even", "chunk", "stripe"], "size needs sizes");
    plan(&dir, &[&args[..], &["--replica-count", "3", "--strategy", "size"]].concat())
        .exits(2)
        .says("NGC 1275");
}

#[test]
fn nothing_is_written_and_who_is_nobody_plans_for_one() {
    let dir = inputs();
    dir.launch().replica(1, 3).sh("true").run().exits(0);
    let before = dir.tree();
    plan(&dir, &["-i", "data/*.fits"]).exits(0).says("neither --replica-count nor REPLICA_COUNT is set");
    plan(&dir, &["-i", "data/*.fits", "-o", "new/out", "--replica-count", "3", "--json"]).exits(0);
    plan(&dir, &["-o", "out"]).exits(0).says_not("neither --replica-count");
    plan(&dir, &["-i", "data/*.fit", "--replica-count", "3"]).exits(2).says("matched nothing");
    plan(&dir, &["-i", "data/*.fit", "--replica-count", "3", "--allow-empty"]).exits(0);
    plan(&dir, &["-i", "data/*.fits", "--replica-count", "0"])
        .exits(2)
        .says("--replica-count=0 is not a replica count");
    let count = |value| {
        dir.canfar_run().args(["plan", "-i", "data/*.fits", "--json"]).env("REPLICA_COUNT", value).run()
    };
    assert_eq!(count("3").exits(0).json()["replica_count"], 3);
    count("three").exits(2).says("REPLICA_COUNT");
    assert_eq!(before.difference(&dir.tree()), None);
}

#[test]
fn folders_that_may_not_be_read_are_told_of() {
    let dir = Dir::with_inputs(2);
    dir.write("data/closed/x.fits", "");
    let mode =
        |name, mode| std::fs::set_permissions(dir.path(name), PermissionsExt::from_mode(mode)).unwrap();
    mode("data/closed", 0);
    mode("", 0o755);
    let args = ["plan", "-i", "data/**/*.fits", "--replica-count", "2", "--json"];
    let ended = dir.canfar_run().args(args).without_rights(54_321).run().exits(0);
    let ended =
        ended.says("1 directory could not be read, such as ").says("data/closed: files in there are not");
    assert_eq!(ended.json()["unreadable"], json!([dir.path("data/closed")]));
    mode("data/closed", 0o700);
}
