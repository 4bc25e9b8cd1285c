//! What a container lacks, or has little of: a name for the user, a home, room for temporary files, descriptors.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use rustix::process::Signal;

use crate::support::{Component, Container, DEADLINE, Dir, PROJECT_GROUP, require, wait_until};

/// Where the first task's temporary folder was, less its own part.
fn scratch(dir: &Dir) -> String {
    let folder = dir.results(1)[0]["result"].as_str().unwrap().to_owned();
    folder.split("/cr-").next().unwrap().to_owned()
}

const TELL_TMPDIR: &str = "echo > \"$TMPDIR/x\" && echo \"$TMPDIR\"";

#[test]
fn a_user_without_name_home_or_room_for_temporary_files_needs_the_results_directory_only() {
    if !require(Component::Containers) {
        return;
    }
    let dir = Dir::with_inputs(3);
    let script = format!("whoami > who.\"${{1##*/}}\" 2>&1; {TELL_TMPDIR}");
    // /nowhere is not there, and nothing but /arc can be written to.
    dir.container().env("HOME", "/nowhere").launch().args(["--result", "text"]).sh(&script).run().exits(0);
    assert!(dir.text("who.000.fits").contains("unknown"), "{}", dir.text("who.000.fits"));
    assert_eq!(scratch(&dir), "/arc/out");
    assert_eq!(std::fs::read_dir(dir.path("out")).unwrap().count(), 4, "{}", dir.tree());
}

#[test]
fn temporary_files_go_to_a_disk_before_memory_and_to_memory_before_nowhere() {
    if !require(Component::Containers) {
        return;
    }
    let disk = Dir::new();
    std::fs::set_permissions(disk.root(), PermissionsExt::from_mode(0o777)).unwrap();
    let scratch_disk = format!("--volume={}:/scratch", disk.root().display());
    // Where there is a memory-backed /tmp, a small one even; what else; and the folder that is taken.
    for (flags, wanted) in [
        (vec!["--tmpfs=/tmp:size=1m"], "/arc/out"),
        (vec!["--tmpfs=/tmp", "--env=TMPDIR=/tmp"], "/arc/out"),
        (vec!["--tmpfs=/tmp", &scratch_disk], "/scratch"),
        (vec!["--env=CANFAR_RUN_TMP_DIR=/tmp", "--tmpfs=/tmp:size=1m"], "/tmp"),
    ] {
        let dir = Dir::with_inputs(1);
        let container = flags.iter().fold(dir.container(), Container::flag);
        container.launch().args(["--result", "text"]).sh(TELL_TMPDIR).run().exits(0);
        assert_eq!(scratch(&dir), wanted, "{flags:?}");
    }
    assert_eq!(std::fs::read_dir(disk.root()).unwrap().count(), 0, "something is left");
}

#[test]
fn a_temporary_folder_that_is_full_fails_the_task_and_nothing_else() {
    if !require(Component::Containers) {
        return;
    }
    let dir = Dir::with_inputs(4);
    // Long output is kept in the temporary folder too.
    let script = "case $1 in
*001*) head -c 2000000 /dev/zero > \"$TMPDIR/x\" || exit 7;;
*002*) head -c 3000000 /dev/zero | tr '\\0' x;;
esac; echo {}";
    let container = dir.container().flag("--tmpfs=/tmp:size=1m").launch();
    container.args(["-j", "1", "--tmp-dir", "/tmp", "--result", "none"]).sh(script).run().exits(1);
    let failures = dir.failures(1, 1);
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(
        (&failures[0]["file"], &failures[0]["canfar_run"]["exit_code"]),
        (&"001.fits".into(), &7.into())
    );
}

#[test]
fn what_is_written_has_the_permissions_that_the_umask_leaves() {
    if !require(Component::Containers) {
        return;
    }
    for (umask, file, folder) in [("0077", 0o600, 0o700), ("0000", 0o666, 0o777), ("0022", 0o644, 0o755)] {
        let dir = Dir::with_inputs(2);
        let script = "umask; case $1 in *001*) exit 1;; esac";
        let container = dir.container().flag(format!("--umask={umask}")).launch();
        container.args(["--result", "text"]).sh(script).run().exits(1);
        assert_eq!(dir.results(1)[0]["result"], umask, "a task's own umask");
        let container = dir.container().flag(format!("--umask={umask}"));
        container.args(["merge", "out"]).run().exits(1);
        let mut seen = 0;
        for entry in walkdir::WalkDir::new(dir.path("out")) {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().mode() & 0o7777;
            let wanted = if entry.file_type().is_dir() { folder } else { file };
            assert_eq!(mode, wanted, "{mode:o} {}", entry.path().display());
            seen += 1;
        }
        assert!(seen >= 9, "{}", dir.tree());
    }
}

#[test]
fn a_supplementary_group_opens_files_and_is_passed_on() {
    if !require(Component::Containers) {
        return;
    }
    let dir = Dir::with_inputs(2);
    for name in ["data", "data/000.fits", "data/001.fits"] {
        chown(dir.path(name), None, Some(PROJECT_GROUP)).unwrap();
        let mode = if name == "data" { 0o750 } else { 0o640 };
        std::fs::set_permissions(dir.path(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    dir.container().launch().args(["--result", "text"]).sh("cat \"$1\"").run().exits(0);
    let read: Vec<_> = dir.results(1).into_iter().map(|mut record| record["result"].take()).collect();
    assert_eq!(read, ["0", "1"]);
}

#[test]
fn a_low_limit_on_descriptors_or_processes_lowers_jobs_and_fails_no_task() {
    if !require(Component::Containers) {
        return;
    }
    for (limit, said) in [
        ("--ulimit=nofile=100:100", "the limit on open files (ulimit -n) allows 3 tasks at a time, not 16"),
        ("--ulimit=nproc=40:40", "the limit on processes"),
        ("--pids-limit=40", "the limit on processes"),
    ] {
        let dir = Dir::with_inputs(20);
        let container = dir.container().cpus("2").flag(limit).launch().args(["-j", "16"]);
        container.sh("basename \"$1\" | cat >> ran").run().exits(0).says("20 of 20 files ok").says(said);
        assert_eq!(dir.lines("ran").len(), 20);
    }
}

#[test]
fn stopped_while_it_lists_or_waits_for_a_list_it_ends_at_once() {
    if !require(Component::Containers) {
        return;
    }
    let dir = Dir::new();
    assert!(std::process::Command::new("mkfifo").arg(dir.path("fifo")).status().unwrap().success());
    std::fs::set_permissions(dir.path("fifo"), PermissionsExt::from_mode(0o666)).unwrap();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let container = dir.container().args(["--files-from", "fifo", "-o", "out", "--", "true"]).start();
        wait_until(DEADLINE, "it lists", || dir.exists("out/inputs.listing"));
        container.signal(signal);
        container.wait().exits(128 + signal.as_raw()).says("before any task began");
        assert!(!dir.exists("out"), "{}", dir.tree());
    }
}

#[test]
fn a_job_file_in_the_image_is_enough_and_users_override_pieces() {
    if !require(Component::Containers) {
        return;
    }
    let image = Dir::new();
    let file = image.write(
        "canfar-run.toml",
        "input = ['data/*']\nresults-dir = 'out'\njobs = 1\nresult = 'text'
command = ['sh', '-c', 'echo \"$GREETING $OMP_NUM_THREADS\"', 'sh', '{}']
[env]\nGREETING = 'from the image'\n",
    );
    let mount = format!("--volume={}:/etc/canfar-run.toml:ro", file.display());
    let of_image = |dir| Dir::container(dir).cpus("2").flag(&mount);

    let dir = Dir::with_inputs(2);
    of_image(&dir).run().exits(0);
    assert_eq!(dir.results(1)[1]["result"], "from the image 2");

    let dir = Dir::with_inputs(2);
    let by_variable = of_image(&dir).env("CANFAR_RUN_JOBS", "2").env("CANFAR_RUN_RESULTS_DIR", "mine");
    by_variable.run().exits(0);
    let records = dir.json("mine/container_1_results.json");
    assert_eq!(records[1]["result"], "from the image 1");

    // A flag beats the variable, which beats the file.
    let dir = Dir::with_inputs(2);
    let by_flag = of_image(&dir).env("CANFAR_RUN_THREADS", "5").env("CANFAR_RUN_INPUT", "data/none");
    by_flag.args(["--threads", "7", "--input", "data/000.fits"]).run().exits(0);
    let results: Vec<_> = dir.results(1).into_iter().map(|mut record| record["result"].take()).collect();
    assert_eq!(results, ["from the image 7"]);

    // Another command in its place.
    let dir = Dir::with_inputs(1);
    of_image(&dir).args(["--", "echo", "mine"]).run().exits(0);
    assert_eq!(dir.results(1)[0]["result"], "mine /arc/data/000.fits");
}
