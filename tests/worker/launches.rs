//! Workers from launch to launch: suspects, kills, resume, and options that have no meaning.

use super::{distinct, launch, values};
use crate::support::{DEADLINE, Dir, InTime, wait_until};

/// Holds while there is `hold/INDEX`; notes itself.
const TASK: &str = "open('ran', 'a').write(f'{index}\\n')
while os.path.exists(f'hold/{index}'): time.sleep(0.01)
says(n=index, pid=os.getpid())";

#[test]
fn a_kill_loses_nothing_and_suspects_run_alone_each_in_a_fresh_worker() {
    let dir = Dir::with_inputs(8);
    ["2", "3"].iter().for_each(|index| _ = dir.write(format!("hold/{index}"), ""));
    let running = launch(&dir, &["-j", "2"], TASK).start();
    wait_until(DEADLINE, "both are held", || {
        let ran = dir.lines("ran");
        ran.contains(&"2".to_owned()) && ran.contains(&"3".to_owned())
    });
    running.kill();
    std::fs::remove_dir_all(dir.path("hold")).unwrap();
    // Every worker notes that it is there, and who runs alone looks who else is.
    let answer = format!(
        "open(f'alive.{{os.getpid()}}', 'w').close()
others = [name for name in os.listdir('.') if name.startswith('alive.') and os.path.exists('/proc/' + name[6:])]
if index in (2, 3) and len(others) > 1: open('company', 'a').write(str(others))
{TASK}"
    );
    launch(&dir, &["-j", "2"], &answer).run().exits(0).says("2 tasks were running when the container died");
    assert!(!dir.exists("company"), "{}", dir.text("company"));
    assert_eq!(values(&dir, "n"), (0..8).collect::<Vec<_>>());
    let ran = dir.lines("ran");
    for index in 0..8 {
        let times = ran.iter().filter(|line| **line == index.to_string()).count();
        assert_eq!(times, if index == 2 || index == 3 { 2 } else { 1 }, "{index}");
    }
    let results = dir.results(1);
    let of = |index: usize| results[index]["pid"].clone();
    assert_ne!(of(2), of(3));
    assert!(results.iter().filter(|record| record["pid"] == of(2) || record["pid"] == of(3)).count() == 2);
}

#[test]
fn a_run_of_workers_is_resumed_with_workers() {
    let dir = Dir::with_inputs(6);
    launch(&dir, &["-j", "1", "--worker-tasks", "2"], TASK).replica(1, 2).run().exits(0);
    dir.canfar_run().args(["resume", "out"]).run().exits(0);
    assert_eq!(dir.results(2).len(), 3);
    assert_eq!(dir.events_of(2, 1, "run")[0]["options"]["worker"], "true");
    assert_eq!(distinct(&dir, "pid"), 2);
}

#[test]
fn what_was_begun_with_workers_does_not_go_on_without_them_nor_the_other_way_round() {
    for (before, now) in [(true, false), (false, true)] {
        let dir = Dir::with_inputs(2);
        dir.write("worker.py", super::python("says(n=index)"));
        let launch = |is_worker: bool, options: &[&str]| {
            let worker: &[&str] = if is_worker { &["--worker"] } else { &["--worker=false"] };
            let script = ["--", "/bin/sh", "-c", "[ -t 0 ] || exec python3 worker.py"];
            dir.launch().args(worker).args(options).args(script).run()
        };
        launch(before, &[]).exits(0);
        let this = |is_worker| {
            if is_worker { "exec python3 worker.py' (--worker)\n" } else { "exec python3 worker.py'\n" }
        };
        launch(now, &[])
            .exits(2)
            .says(&format!("exec python3 worker.py'{}", &this(now)["exec python3 worker.py'".len()..]))
            .says("--accept-changed-command");
        launch(now, &["--dry-run"]).exits(2).says(this(before));
        launch(now, &["--accept-changed-command"]).exits(0).says("the command differs from the run's");
        launch(before, &[]).exits(0);
    }
}

#[test]
fn a_dry_run_shows_the_worker_and_its_requests_as_a_shell_can_run_them() {
    let dir = Dir::with_inputs(3);
    let printed = launch(&dir, &["-n"], "says(n=index)").run().exits(0).printed();
    assert!(printed.starts_with("python3 worker.py << 'REQUESTS'\n{\"path\":"), "{printed}");
    let said =
        std::process::Command::new("/bin/sh").args(["-c", &printed]).current_dir(dir.root()).output_in_time();
    let said = String::from_utf8(said.unwrap().stdout).unwrap();
    assert_eq!(said, "{\"n\": 0}\n{\"n\": 1}\n{\"n\": 2}\n");
    assert!(!dir.exists("out"));
}

#[test]
fn options_that_mean_nothing_with_workers_are_errors_that_say_so() {
    for (options, said) in [
        (&["--worker", "--", "python3", "{}"][..], "{} is something of one task"),
        (&["--worker", "--shell", "python3 x.py {/}"], "{/} is something of one task"),
        (&["--worker", "--result", "text", "--", "true"], "--result text"),
        (&["--worker", "--chdir", "task", "--", "true"], "tmpdir"),
        (&["--worker-tasks", "3", "--", "true"], "give --worker, too"),
        (&["--worker", "--worker-tasks", "0", "--", "true"], "whole number from 1"),
    ] {
        let dir = Dir::with_inputs(1);
        dir.launch().args(options).run().exits(2).says(said);
        assert!(!dir.exists("out"));
    }
}

#[test]
fn a_job_file_and_a_shell_line_start_workers_too() {
    let dir = Dir::with_inputs(4);
    dir.write("worker.py", super::python("says(n=index, slot=sys.argv[1])"));
    dir.write("job.toml", "worker = true\nworker-tasks = 1\nshell = 'exec python3 worker.py {slot}'");
    dir.launch().args(["--job-file", "job.toml", "-j", "1"]).run().exits(0);
    assert_eq!(values(&dir, "slot"), ["1", "1", "1", "1"]);
}
