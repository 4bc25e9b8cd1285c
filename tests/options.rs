//! Where options come from, and which of several wins.

use serde_json::{Value, json};

use crate::support::{Dir, Ended, Run};

type Words = &'static [&'static str];
type Variables = &'static [(&'static str, &'static str)];

/// What a launch noted of itself first.
fn begun(dir: &Dir) -> Value {
    dir.events_of(1, 1, "run").remove(0)
}

/// `-j` as it came out.
fn jobs(run: Run<'_>, dir: &Dir) -> Value {
    run.args(["-i", "data/*", "-o", "out", "--", "true"]).run().exits(0);
    begun(dir)["jobs"].clone()
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_job_file_which_beats_the_default() {
    let cpus = std::thread::available_parallelism().unwrap().get();
    let cases: [(&[&str], Option<&str>, bool, usize); 5] = [
        (&[], None, false, cpus),
        (&[], None, true, 11),
        (&[], Some("12"), true, 12),
        (&["--jobs", "13"], Some("12"), true, 13),
        (&["-j13"], Some(""), true, 13),
    ];
    for (args, variable, has_file, expected) in cases {
        let dir = Dir::with_inputs(1);
        dir.write("job.toml", "jobs = 11");
        let run = dir.canfar_run().args(args);
        let run = if has_file { run.args(["--job-file", "job.toml"]) } else { run };
        let run = match variable {
            Some(value) => run.env("CANFAR_RUN_JOBS", value),
            None => run,
        };
        assert_eq!(jobs(run, &dir), expected, "{args:?} {variable:?}");
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let dir = Dir::with_inputs(1);
    dir.write("job.toml", "jobs = 11");
    let run = dir.canfar_run().env("CANFAR_RUN_JOB_FILE", "job.toml").env("CANFAR_RUN_JOBS", "");
    assert_eq!(jobs(run, &dir), 11);
}

#[test]
fn the_journal_keeps_what_was_chosen_wherever_it_came_from() {
    let dir = Dir::with_inputs(1);
    dir.write("job.toml", "retries = 2\nresult = 'none'");
    let run = dir.canfar_run().args(["--job-file", "job.toml", "--logs", "all"]).env("CANFAR_RUN_JOBS", "3");
    jobs(run, &dir);
    let expected = json!({
        "input": "data/*", "results-dir": "out", "logs": "all", "jobs": "3", "retries": "2", "result": "none",
    });
    let mut options = begun(&dir)["options"].take();
    // What the job file says counts, not where it lies.
    options.as_object_mut().unwrap().remove("job-file");
    assert_eq!(options, expected);
}

/// Inputs `a/1`, `b/1`, `b/2.tmp`, `c/1`.
fn folders() -> Dir {
    let dir = Dir::new();
    for name in ["a/1", "b/1", "b/2.tmp", "c/1"] {
        dir.write(name, "");
    }
    dir
}

/// Which commands would be run, with paths below the test's folder.
fn planned(dir: &Dir, run: Run<'_>) -> Vec<String> {
    let printed = run.env("CANFAR_RUN_DRY_RUN", "1").run().exits(0).printed();
    let root = format!("{}/", dir.root().display());
    printed.lines().map(|line| line.replace(&root, "")).collect()
}

#[test]
fn a_stronger_list_replaces_a_weaker_one() {
    let job = "input = ['a/*', 'b/*']\nexclude = ['*.tmp']\ncommand = ['echo', '{}']";
    let cases: [(Words, Variables, Words); 6] = [
        (&[], &[], &["echo a/1", "echo b/1"]),
        (&[], &[("CANFAR_RUN_INPUT", "b/*")], &["echo b/1"]),
        (&["-i", "c/*", "b/*"], &[("CANFAR_RUN_INPUT", "a/*")], &["echo b/1", "echo c/1"]),
        (&["-i", "c/*", "-i", "a/*"], &[], &["echo a/1", "echo c/1"]),
        (&["--exclude", "1"], &[], &["echo b/2.tmp"]),
        (&["-i", "b/*"], &[("CANFAR_RUN_EXCLUDE", "1")], &["echo b/2.tmp"]),
    ];
    for (args, variables, expected) in cases {
        let dir = folders();
        dir.write("job.toml", job);
        let run = dir.canfar_run().args(["--job-file", "job.toml"]).args(args);
        let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
        assert_eq!(planned(&dir, run), expected, "{args:?} {variables:?}");
    }
}

#[test]
fn one_way_to_say_it_replaces_the_other() {
    let cases: [(&str, Words, Variables, Words); 6] = [
        ("files-from = 'list'\nnull = true\ncommand = ['echo']", &["-i", "c/*"], &[], &["echo c/1"]),
        (
            "input = 'a/*'\nexclude = ['x']\ncommand = ['echo']",
            &["--files-from", "list"],
            &[],
            &["echo listed"],
        ),
        ("input = 'a/*'\ncommand = ['echo']", &[], &[("CANFAR_RUN_FILES_FROM", "list")], &["echo listed"]),
        ("input = 'a/*'\nshell = 'wc {}'", &["--", "echo"], &[], &["echo a/1"]),
        (
            "input = 'a/*'\ncommand = ['echo']",
            &["--shell", "true {}"],
            &[],
            &["/bin/sh -c 'true \"${1}\"' sh a/1"],
        ),
        (
            "input = 'a/*'\ncommand = ['echo']",
            &[],
            &[("CANFAR_RUN_SHELL", "true {}")],
            &["/bin/sh -c 'true \"${1}\"' sh a/1"],
        ),
    ];
    for (job, args, variables, expected) in cases {
        let dir = folders();
        dir.write("list", "listed\n");
        dir.write("job.toml", job);
        let run = dir.canfar_run().env("CANFAR_RUN_JOB_FILE", "job.toml").args(args);
        let run = variables.iter().fold(run, |run, (name, value)| run.env(name, value));
        assert_eq!(planned(&dir, run), expected, "{job} {args:?} {variables:?}");
    }
}

#[test]
fn a_switch_can_be_turned_off_again_by_a_stronger_source() {
    let cases: [(&str, Option<&str>, &[&str], bool); 8] = [
        ("", None, &[], false),
        ("quiet = true", None, &[], true),
        ("quiet = true", Some("false"), &[], false),
        ("quiet = true", Some("0"), &[], false),
        ("quiet = false", Some("1"), &[], true),
        ("", Some("true"), &["--quiet=false"], false),
        ("quiet = false", Some("0"), &["-q"], true),
        ("quiet = true", None, &["-v"], false),
    ];
    for (job, variable, args, is_quiet) in cases {
        let dir = Dir::with_inputs(1);
        dir.write("job.toml", job);
        let run = dir.launch().args(["--job-file", "job.toml"]).args(args);
        let run = match variable {
            Some(value) => run.env("CANFAR_RUN_QUIET", value),
            None => run,
        };
        let ended = run.args(["--result", "none", "--", "true"]).run().exits(0);
        assert_eq!(ended.stderr.is_empty(), is_quiet, "{job} {variable:?} {args:?}\n{ended}");
    }
}

#[test]
fn unknown_variables_are_warned_of_with_the_nearest_option() {
    let dir = Dir::with_inputs(1);
    let run = dir.launch().env("CANFAR_RUN_JOB", "1").env("CANFAR_RUN_RETRY", "1").args(["--", "true"]);
    run.run()
        .exits(0)
        .says("the variable CANFAR_RUN_JOB is not an option and was ignored; the nearest one is `jobs`")
        .says("the variable CANFAR_RUN_RETRY is not an option and was ignored; the nearest one is `retries`");
}

#[test]
fn the_job_file_shown_for_lost_quotes_is_ready_to_paste() {
    for words in [
        &["--shell", "wc", "-c", "{}", ">", "{/.}.txt"][..],
        &["--shell", "printf", "%s\\n", "it's", "\"{{}}\"", "$HOME"],
        &["--shell", "wc", "--", "-c", "{}"],
    ] {
        let dir = Dir::with_inputs(1);
        let refused = dir.launch().args(words).run().exits(2);
        let pasted = refused.stderr.split_once("\n\n").unwrap().1;
        dir.write("job.toml", pasted);
        let script: toml::Table = pasted.parse().unwrap();
        let words: Vec<&str> = words[1..].iter().copied().filter(|word| *word != "--").collect();
        assert_eq!(script["shell"].as_str().unwrap(), words.join(" "));
        let ended = dir.launch().args(["--job-file", "job.toml", "-n"]).run();
        // That the quotes are gone may show in the script; that it is one, not in the file.
        assert!(ended.code == Some(0) || ended.stderr.contains("in --shell"), "{ended}");
    }
}

#[test]
fn a_canfar_run_in_a_task_is_nobodys_replica_and_inherits_no_option() {
    let dir = Dir::with_inputs(4);
    for name in ["x", "y", "z"] {
        dir.write(format!("inner/{name}"), "");
    }
    let script = "\"$0\" -i 'inner/*' -o inner-$CANFAR_TASK_INDEX -- sh -c 'echo \"$REPLICA_ID of $REPLICA_COUNT\" >> inner-ran'";
    let run = dir.launch().replica(2, 2).env("CANFAR_RUN_JOBS", "1").env("CANFAR_RUN_STRATEGY", "chunk");
    run.args(["--", "sh", "-c", script, env!("CARGO_BIN_EXE_canfar-run")]).run().exits(0);
    assert_eq!(dir.lines("inner-ran"), ["1 of 1"; 6]);
    for index in [2, 3] {
        let first: Value =
            serde_json::from_str(&dir.lines(format!("inner-{index}/journal/1.1.jsonl"))[0]).unwrap();
        assert_eq!((&first["replica_count"], first["options"].get("jobs")), (&1.into(), None));
        assert_eq!(dir.json(format!("inner-{index}/container_1_results.json")).as_array().unwrap().len(), 3);
    }
}

#[test]
fn the_subcommand_run_is_the_same_as_none() {
    let dir = folders();
    let plain = planned(&dir, dir.canfar_run().args(["-i", "a/*", "b/*", "--", "echo"]));
    assert_eq!(planned(&dir, dir.canfar_run().args(["run", "-i", "a/*", "b/*", "--", "echo"])), plain);
    assert_eq!(plain, ["echo a/1", "echo b/1", "echo b/2.tmp"]);
}

#[test]
fn words_that_look_like_placeholders_and_are_none_are_told() {
    let dir = Dir::with_inputs(1);
    let said = |word: &str| dir.launch().args(["-n", "--", "echo", word]).run().exits(0);
    said("--of={name}")
        .says("{name} is not a placeholder and is passed to the command as it is: use {} for {name}")
        .prints(&format!("echo '--of={{name}}' {}\n", dir.path("data/000.fits").display()));
    said("$(REPLICA_ID)").says("$(REPLICA_ID) is passed to the command as it is");
    for word in ["{print}", "{/.}", "$(date)", "{a,b}"] {
        said(word).says_not("passed to the command as it is");
    }
}

/// The header of the list that a launch of the first of two replicas has made.
fn header(args: &[&str], files: usize) -> Value {
    let dir = Dir::with_inputs(files);
    dir.launch().replica(1, 2).args(args).sh("true").run().exits(0);
    serde_json::from_str(&dir.lines("out/inputs.jsonl")[0]).unwrap()
}

#[test]
fn a_list_says_whether_its_replicas_share_their_work_and_whether_it_has_sizes() {
    for (args, files, balance, sizes) in [
        (&["--balance"][..], 9, true, true),
        // Of so few files each is a block, whatever its size.
        (&["--balance"], 8, true, false),
        (&["--balance=false"], 9, false, false),
        (&["--strategy", "stripe"], 9, false, false),
        (&["--strategy", "stripe", "--balance=1"], 9, true, true),
    ] {
        let header = header(args, files);
        let has_sizes = header.get("sizes").is_some();
        assert_eq!((&header["balance"], has_sizes), (&balance.into(), sizes), "{args:?} {files}");
    }
}

#[test]
fn a_launch_that_says_nothing_of_balance_does_as_the_run_does() {
    let dir = Dir::with_inputs(2);
    let launch = |id| {
        let identity = ["--replica-id", id, "--replica-count", "2"];
        dir.launch().args(identity).args(["--takeover-after", "90s"])
    };
    launch("1").args(["--balance", "--deadline", "1ms"]).sh("true").run().exits(3);
    launch("2").sh("true").run().exits(0);
    launch("2").arg("--balance=false").sh("true").run().exits(2).says("the run:     --balance=true");
    let options = &dir.events_of(2, 1, "run")[0]["options"];
    assert_eq!((&options["takeover-after"], options.get("balance")), (&json!("90s"), None));
}

#[test]
fn a_dry_run_of_another_command_than_the_runs_says_so() {
    let dir = Dir::with_inputs(2);
    dir.launch().args(["--", "echo"]).run().exits(0);
    dir.launch().args(["-n", "--", "echo"]).run().exits(0);
    dir.launch().args(["-n", "--", "true"]).run().exits(2).says("the command of this launch differs");
    dir.launch().args(["-n", "--accept-changed-command", "--", "true"]).run().exits(0);
}

#[test]
fn a_dry_run_prints_the_share_and_writes_nothing() {
    let dir = Dir::with_inputs(5);
    let dry = |id: usize, args: &[&str]| dir.launch().replica(id, 2).args(["-n", "-j", "2"]).args(args);
    let before = dir.tree();
    let words = ["--", "echo", "{/}", "{index}", "{slot}", "{replica}", "it's"];
    let printed = |id, args: &[&str]| dry(id, args).args(words).run().exits(0).printed();
    assert_eq!(
        printed(1, &[]),
        "echo 000.fits 0 1 1 \"it's\"\necho 001.fits 1 2 1 \"it's\"\necho 002.fits 2 1 1 \"it's\"\n"
    );
    assert_eq!(
        printed(2, &["--strategy", "stripe"]),
        "echo 001.fits 1 1 2 \"it's\"\necho 003.fits 3 2 2 \"it's\"\n"
    );
    assert_eq!(before.difference(&dir.tree()), None);
    // Once there is a run, its list is what counts.
    dir.launch().replica(1, 2).args(words).run().exits(0);
    dir.write("data/000.early.fits", "");
    let before = dir.tree();
    assert_eq!(printed(2, &[]), "echo 003.fits 3 1 2 \"it's\"\necho 004.fits 4 2 2 \"it's\"\n");
    assert_eq!(before.difference(&dir.tree()), None);
}

fn told(dir: &Dir, args: &[&str]) -> Ended {
    dir.launch().args(args).sh("echo said; exit $((CANFAR_TASK_INDEX == 1))").run().exits(1)
}

#[test]
fn more_or_less_is_said_as_asked() {
    let start = format!("canfar-run {}: ", env!("CARGO_PKG_VERSION"));
    let dir = Dir::with_inputs(2);
    told(&dir, &[]).says(&start).says("failed: ").says_not("ok: ").says("1 of 2 files ok, 1 failed");
    let dir = Dir::with_inputs(2);
    told(&dir, &["-v"]).says("ok: ").says("failed: ");
    let dir = Dir::with_inputs(2);
    told(&dir, &["-q"]).says("failed: ").says_not(&start);
    let dir = Dir::with_inputs(2);
    told(&dir, &["--color", "always"]).says("\u{1b}[31m");
    let dir = Dir::with_inputs(2);
    told(&dir, &["--color", "never"]).says_not("\u{1b}");
    let dir = Dir::with_inputs(2);
    told(&dir, &[]).says_not("\u{1b}");
}

#[test]
fn directories_are_entries_when_asked_for() {
    let dir = Dir::new();
    dir.write("data/one.ms/table.dat", "");
    dir.write("data/two.ms/table.dat", "");
    dir.write("data/notes.txt", "");
    let run = dir.canfar_run().args(["-i", "data/*", "--type", "dir", "-o", "out"]);
    run.sh("[ -e \"$1/table.dat\" ]").run().exits(0);
    let files: Vec<Value> = dir.results(1).into_iter().map(|mut record| record["file"].take()).collect();
    assert_eq!(files, ["one.ms", "two.ms"]);
}

#[test]
fn relative_paths_are_seen_from_where_canfar_run_was_started() {
    let dir = Dir::with_inputs(2);
    dir.write("sub/job.toml", "chdir = '../data'\nresult = 'text'");
    dir.write("sub/tool", "ls");
    let run = dir.canfar_run().cwd(dir.path("sub")).args([
        "--job-file",
        "job.toml",
        "-i",
        "../data/*",
        "-o",
        "../out",
    ]);
    run.args(["--", "sh", "-c", "echo ${1#../}; ls", "sh", "{rel}"]).run().exits(0);
    let said: Vec<Value> = dir.results(1).into_iter().map(|mut record| record["result"].take()).collect();
    assert_eq!(said, ["000.fits\n000.fits\n001.fits", "001.fits\n000.fits\n001.fits"]);
}

#[test]
fn a_working_directory_that_is_gone_is_an_error_that_says_so() {
    let dir = Dir::new();
    let script = "mkdir gone && cd gone && rmdir ../gone && exec \"$@\"";
    let run = Run::of(&dir, "/bin/sh").args(["-c", script, "sh", env!("CARGO_BIN_EXE_canfar-run"), "-h"]);
    run.run()
        .exits(2)
        .says("canfar-run: error: can't determine the working directory")
        .says("Start in another one");
}
