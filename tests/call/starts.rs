//! Launches of calls: again, after a kill, from elsewhere, and resumed.

use super::{call, failed, launch, log, processes, values};
use crate::support::{DEADLINE, Dir, python, wait_until};

/// Holds while there is `hold/INDEX`; notes itself.
const HELD: &str = "import os, time
def analyze(path, index):
    open('ran', 'a').write(f'{index}\\n')
    while os.path.exists(f'hold/{index}'): time.sleep(0.01)
    return dict(n=index, pid=os.getpid())
";

#[test]
fn calls_are_made_in_as_many_processes_as_jobs_and_afresh_after_worker_tasks() {
    let dir = Dir::with_inputs(12);
    launch(&dir, &["-j", "2", "--worker-tasks", "3", "--logs", "all"], &format!("print('imported')\n{HELD}"))
        .run()
        .exits(0)
        .says("12 of 12 files ok");
    assert_eq!(values(&dir, "n"), (0..12).collect::<Vec<_>>());
    assert!((4..=5).contains(&processes(&dir)), "{}", processes(&dir));
    assert!(log(&dir, "0").ends_with("imported\n"));
    let merged = dir.canfar_run().args(["merge", "out", "-o", "all.csv"]).run().exits(0);
    merged.says("12 files: 12 ok");
    assert!(dir.text("all.csv").starts_with("file,n,pid,"), "{}", dir.text("all.csv"));
}

#[test]
fn a_killed_launch_is_finished_by_the_same_line_and_by_resume_wherever_they_are_typed() {
    let dir = Dir::with_inputs(6);
    dir.write("hold/2", "");
    let python = python();
    let line = |dir: &Dir, count: usize| {
        let patterns = format!("{}/data/*.fits", dir.root().display());
        let out = format!("{}/out", dir.root().display());
        let words = ["-i", &patterns, "-o", &out, "-j", "1", "--call", "analysis.py:analyze", "--python"];
        (words.map(str::to_owned), count)
    };
    dir.write("analysis.py", HELD);
    let (words, _) = line(&dir, 2);
    let start = |replica| dir.canfar_run().args(&words).arg(&python).replica(replica, 2);
    let running = start(1).start();
    wait_until(DEADLINE, "the third is held", || dir.lines("ran").contains(&"2".to_owned()));
    running.kill();
    std::fs::remove_dir_all(dir.path("hold")).unwrap();
    // Beside another file of that name: the function is the one where the run was begun.
    dir.write("elsewhere/analysis.py", "def analyze(path): return dict(n=-1)\n");
    let ended = start(1).cwd(dir.path("elsewhere")).quick_heartbeat().run().exits(0);
    ended.says_not("another file is").says_not("is another file");
    assert_eq!(values(&dir, "n"), [0, 1, 2]);
    dir.write("analysis.py", format!("# changed\n{HELD}"));
    dir.canfar_run().args(["resume", "../out"]).cwd(dir.path("elsewhere")).run().exits(0);
    assert_eq!(dir.results(2).iter().map(|record| record["n"].clone()).collect::<Vec<_>>(), [3, 4, 5]);
    let header: serde_json::Value = serde_json::from_str(&dir.lines("out/inputs.jsonl")[0]).unwrap();
    assert_eq!(header["command"]["call"]["target"], "analysis.py:analyze");
    assert_eq!(header["command_files"][0]["name"], "analysis.py");
    start(1).run().exits(0).says("analysis.py has changed since it made 3 results");
    dir.canfar_run().args(["report", "out", "-o", "report.html"]).run().exits(0);
    assert!(dir.text("report.html").contains("--call analysis.py:analyze"));
}

#[test]
fn another_function_or_python_is_another_command() {
    let dir = Dir::with_inputs(2);
    dir.write("analysis.py", "def analyze(path): return 1\ndef other(path): return 2\n");
    call(&dir, "analysis.py:analyze").run().exits(0);
    let python = python();
    let this = format!("--call analysis.py:other --python {}\n", python.display());
    let run = format!("--call analysis.py:analyze --python {}\n", python.display());
    call(&dir, "analysis.py:other").run().exits(2).says(&this).says(&run).says("--accept-changed-command");
    dir.launch().args(["--call", "analysis.py:analyze"]).run().exits(2).says("--call analysis.py:analyze\n");
    dir.launch().args(["--", "true"]).run().exits(2).says("this launch: true\n").says(&run);
    call(&dir, "analysis.py:other").arg("--accept-changed-command").run().exits(0).says("which was: --call");
}

#[test]
fn retries_and_a_changed_script_are_as_for_commands() {
    let dir = Dir::with_inputs(2);
    let source = "import os
def analyze(path, tmpdir):
    open(tmpdir + '/left', 'x').close()
    if path.endswith('1.fits') and not os.path.exists('tried'):
        open('tried', 'w').close()
        raise OSError('busy')
    return 1
";
    launch(&dir, &["--retries", "1", "--retry-delay", "10ms"], source).run().exits(0).says("OSError: busy");
    assert_eq!(dir.results(1)[1]["canfar_run"]["attempts"], 2);
    assert_eq!(failed(&dir, 1), []);
}

#[test]
fn a_dry_run_shows_the_calls() {
    let dir = Dir::with_inputs(1);
    dir.write("data/it's\n.fits", "");
    let root = dir.root().display().to_string();
    let shown = format!(
        "analysis.py:analyze('{root}/data/000.fits')\nanalysis.py:analyze(\"{root}/data/it's\\n.fits\")\n"
    );
    launch(&dir, &["-n"], "raise ValueError('analyze')")
        .run()
        .exits(0)
        .prints(&shown)
        .says("2 calls would be made");
    assert!(!dir.exists("out"));
}

#[test]
fn a_job_file_and_the_environment_name_a_function_too() {
    let dir = Dir::with_inputs(2);
    dir.write("analysis.py", "def analyze(path): return dict(n=1)\n");
    dir.write("job.toml", "call = 'analysis.py:analyze'\njobs = 1");
    dir.launch().args(["--job-file", "job.toml"]).env("CANFAR_RUN_PYTHON", python()).run().exits(0);
    assert_eq!(values(&dir, "n"), [1, 1]);
    // What is typed takes the place of all that belongs to it.
    let typed = ["-o", "typed", "-i", "data/*.fits", "--job-file", "job.toml", "--", "true"];
    dir.canfar_run().args(typed).env("CANFAR_RUN_PYTHON", "none").run().exits(0);
    dir.write("worker.toml", "worker = true\ncommand = ['true']");
    let typed = ["-o", "called", "-i", "data", "--job-file", "worker.toml", "--call", "analysis.py:analyze"];
    dir.canfar_run().args(typed).run().exits(0);
}
