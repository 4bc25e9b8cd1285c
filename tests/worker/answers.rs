//! What workers say, and what becomes of it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::{distinct, failed, launch, values};
use crate::support::Dir;

#[test]
fn answers_are_results_in_order_and_two_workers_gave_them_all() {
    let dir = Dir::with_inputs(50);
    let answer = "empty = os.listdir(task['tmpdir'])
open(task['tmpdir'] + '/left', 'w').close()
own = os.environ['TMPDIR'] != task['tmpdir']
says(n=index, path=task['path'], attempt=task['attempt'], pid=os.getpid(), nan=float('nan'), empty=empty, own=own)";
    launch(&dir, &["-j", "2"], answer).run().exits(0).says("50 values");
    for (index, record) in dir.results(1).iter().enumerate() {
        assert_eq!(record["n"], index);
        assert_eq!(record["path"], dir.path(format!("data/{index:03}.fits")).to_str().unwrap());
        assert_eq!((&record["attempt"], &record["nan"]), (&1.into(), &serde_json::Value::Null));
        assert_eq!((&record["empty"], &record["own"]), (&serde_json::json!([]), &true.into()));
    }
    assert!(distinct(&dir, "pid") <= 2);
    dir.canfar_run().args(["merge", "out"]).run().exits(0).says("50 files: 50 ok");
}

#[test]
fn an_error_fails_its_task_and_is_its_last_word_and_other_lines_are_each_tasks_log() {
    let dir = Dir::with_inputs(4);
    let answer = "print('log of', index); print('aside', index, file=sys.stderr)
says(error=f'OSError: bad {index}') if index % 2 else says(n=index, error=0.5)";
    launch(&dir, &["-j", "1", "--logs", "all"], answer).run().exits(1).says("exit: OSError: bad 1");
    assert_eq!(values(&dir, "n"), [0, 2]);
    for failure in dir.failures(1, 1) {
        let index = &failure["canfar_run"]["index"];
        assert_eq!(failure["canfar_run"]["cause"], "exit");
        assert_eq!(failure["canfar_run"]["stderr_tail"], format!("aside {index}\nOSError: bad {index}"));
        let log = &failure["canfar_run"]["log"];
        let [offset, bytes] =
            ["offset", "bytes"].map(|key| usize::try_from(log[key].as_u64().unwrap()).unwrap());
        let kept = String::from_utf8(dir.bytes("out/logs/1.1.log")[offset..offset + bytes].to_vec()).unwrap();
        assert!(kept.contains(&format!("log of {index}\naside {index}\n")), "{kept}");
    }
}

#[test]
fn a_second_answer_costs_no_task_and_is_told_once_and_kept() {
    for (twice, processes) in [
        // In one go.
        ("print('{\"n\": 2}\\n{\"n\": 99}')", 1),
        // The second comes while the next question lies unread.
        ("says(n=2); time.sleep(0.2); says(n=99); time.sleep(0.5)", 1),
        ("says(n=2); time.sleep(0.2); print('{\"n\": 99}\\n{\"n\": 98}'); time.sleep(0.5)", 1),
        // The second is unfinished: who knows what is appended to it.
        ("os.write(1, b'{\"n\": 2}\\n{\"n\": 99')", 2),
    ] {
        let dir = Dir::with_inputs(6);
        let answer = format!(
            "open('pids', 'a').write(f'{{os.getpid()}}\\n')\nif index == 2: {twice}\nelse: says(n=index)"
        );
        let ended = launch(&dir, &["-j", "1", "-q"], &answer).run().exits(0);
        assert_eq!(values(&dir, "n"), [0, 1, 2, 3, 4, 5], "{twice} {ended}");
        let pids = String::from_utf8(dir.bytes("pids")).unwrap();
        assert_eq!(pids.lines().collect::<std::collections::BTreeSet<_>>().len(), processes, "{twice}");
        let told = "a worker answered more than once (the first time at ";
        assert_eq!(ended.stderr.matches(told).count(), 1, "{ended}");
        ended.says("002.fits: {\"n\": 99").says("); only the first answer for a file counts");
        let log = String::from_utf8(dir.bytes("out/logs/1.1.log")).unwrap();
        assert!(log.contains("{\"n\": 99"), "{log}");
    }
}

#[test]
fn who_answers_without_having_read_is_believed_nothing() {
    for script in [
        "while :; do echo '{\"n\": 1}'; sleep 0.05; done",
        // Nor does it end a line.
        "printf '{\"a'; while :; do printf '%65536s' x; done",
        // It did read the first.
        "read -r _; while :; do echo '{\"n\": 1}'; sleep 0.05; done",
    ] {
        let dir = Dir::with_inputs(3);
        dir.launch().args(["-j", "1", "--worker", "--shell", script]).run().exits(1);
        let failed = failed(&dir, 1);
        assert!(!failed.is_empty(), "{failed:?}");
        for (_, cause, why) in failed {
            assert!(cause == "result" && why.contains("answers without reading its requests"), "{why}");
        }
    }
}

#[test]
fn a_line_that_was_meant_as_an_answer_fails_its_task_at_once_and_shows_it() {
    for (answer, said) in [
        ("print(json.dumps({'n': 2}, indent=2))", "`{`). Print it on one line"),
        ("os.write(1, b'{\\n'); time.sleep(0.1); print('\"n\": 2\\n}\\n{\"n\": 99}')", "`{`"),
        ("print(json.dumps([1, 2]))", "not an object: `[1, 2]` (an array)"),
        ("print(json.dumps('done'))", "`\"done\"` (a string)"),
        ("print(42)", "`42` (a number)"),
        ("print(json.dumps(None))", "`null`"),
        ("print({'n': 2})", "`{'n': 2}`"),
        ("import pprint; pprint.pprint({'n': 2, 'm': 'x' * 100})", "`{'m': 'xxx"),
        ("print('{\"n\": nan}')", "`{\"n\": nan}`"),
        ("print('50%\\r' + json.dumps({'n': 2}))", "carriage return: `50%\\r{\"n\": 2}`"),
        ("print('\\ufeff' + json.dumps({'n': 2}))", "byte order mark"),
        ("print('\\x1b[32m' + json.dumps({'n': 2}) + '\\x1b[0m')", "escape sequences"),
        ("os.write(1, (json.dumps({'n': 2}) + '\\n').encode('utf-16'))", "UTF-16"),
        ("print('{\"n\": 2} trailing')", "`{\"n\": 2} trailing`"),
        ("print([1, 2]); says(n=2)", "`[1, 2]`"),
    ] {
        let dir = Dir::with_inputs(5);
        let script = format!(
            "print('[INFO] loaded', index)\nif index == 2:\n    {answer}\nelse: says(n=index, pid=os.getpid())"
        );
        let ended = launch(&dir, &["-j", "1"], &script).run().exits(1);
        assert_eq!(values(&dir, "n"), [0, 1, 3, 4], "{answer} {ended}");
        let failed = failed(&dir, 1);
        assert_eq!((failed.len(), failed[0].0, failed[0].1.as_str()), (1, 2, "result"), "{failed:?}");
        let why = &failed[0].2;
        assert!(why.contains(said.trim_start_matches("`{`). ")), "{said}: {why}");
        assert!(
            why.contains("An answer is one line with a JSON object") && why.contains("was restarted"),
            "{why}"
        );
        // What follows is not known to be of another task.
        assert_eq!(distinct(&dir, "pid"), 2, "{answer}");
        let kept = dir.canfar_run().args(["logs", "out", "2"]).run().exits(0).printed();
        assert!(kept.contains("[INFO] loaded 2"), "{kept}");
    }
}

#[test]
fn an_answer_may_come_in_parts_with_blanks_around_it_and_behind_any_log() {
    let dir = Dir::with_inputs(3);
    let answer = "print('[INFO] x\\n[2026-11-28 12:00:01] y\\nn: {z}\\n{ready}\\n 10% \\r 20%')
sys.stdout.write('  {\"n\": '); sys.stdout.flush(); time.sleep(0.05); sys.stdout.write(f'{index}}}  \\r'); sys.stdout.flush()
print()";
    launch(&dir, &["-j", "1"], answer).run().exits(0);
    assert_eq!(values(&dir, "n"), [0, 1, 2]);
}

#[test]
fn a_worker_that_does_nothing_is_told_once_with_what_it_printed() {
    let buffered = ["-j", "1", "--timeout", "6s", "--worker", "--"];
    // Longer than Python takes to start on a busy machine, so all at once.
    let cases = [
        // An answer without a line end.
        (
            vec!["python3", "-c", "import sys\nfor l in sys.stdin: print('{\"n\": 1}', end='', flush=True)"],
            "printed `{\"n\": 1}` and has been idle for 2s without an answer",
        ),
        (
            vec!["python3", "-c", "import sys\nfor l in sys.stdin: print('stars: 42')"],
            "printed `stars: 42` and has been idle",
        ),
        // Kept in a buffer.
        (
            vec![
                "python3",
                "-c",
                "import sys\nout = open(1, 'w', 9999)\nfor l in sys.stdin: out.write('{\"n\": 1}\\n')",
            ],
            "has printed nothing and has been idle for 2s; an answer is one line of JSON such as {\"stars\": 42}",
        ),
    ]
    .map(|(words, said)| (Dir::with_inputs(2), words, said));
    let launch = |dir, words| {
        let run = Dir::launch(dir).env("CANFAR_RUN_TEST_WORKER_IDLE", "2s").arg("-q").args(buffered);
        run.args(words).start()
    };
    let running: Vec<_> = cases.iter().map(|(dir, words, _)| launch(dir, words.clone())).collect();
    for (running, (dir, _, said)) in running.into_iter().zip(&cases) {
        let ended = running.wait().exits(1);
        let told = format!("the worker for {}", dir.path("data/000.fits").display());
        assert_eq!(ended.stderr.matches("the worker for ").count(), 1, "{ended}");
        ended.says(&told).says(said);
    }
}

#[test]
fn a_worker_at_work_is_not_told_of_although_it_prints_nothing() {
    let dir = Dir::with_inputs(2);
    // Its child works, and then it does.
    let answer = "import subprocess
burn = 'import time\\nwhile time.process_time() < 0.5: pass'
subprocess.run([sys.executable, '-c', burn], check=True); exec(burn.replace('0.5', '0.5 * (index + 2)')); says(n=index)";
    let run = launch(&dir, &["-j", "1"], answer).env("CANFAR_RUN_TEST_WORKER_IDLE", "200ms");
    run.run().exits(0).says_not("idle");
}

#[test]
fn an_answer_without_a_line_end_is_shown_when_its_worker_ends() {
    let dir = Dir::with_inputs(2);
    let answer = "print('{\"n\": 1}', end=''); sys.exit(0)";
    launch(&dir, &["-j", "1"], answer).run().exits(1);
    let failed = failed(&dir, 1);
    assert!(
        failed[0].2.contains("gave no answer; what it printed last has no line end: `{\"n\": 1}`"),
        "{failed:?}"
    );
}

#[test]
fn answers_that_can_not_be_taken_fail_their_task_alone() {
    let dir = Dir::with_inputs(6);
    let answer = "if index == 1: says(canfar_run=1)
elif index == 2: print('{\"a\":' + '[' * 2000 + ']' * 2000 + '}')
elif index == 3: print('{\"a\": \"' + 'x' * 300000 + '\"}')
elif index == 4:
    print('{\"a', end='')
    while True: print('x' * 65536, end='')
else: print('no {\"n\"' + 'x' * 300000); says(n=index)";
    launch(&dir, &["-j", "1", "--max-result", "100k"], answer).run().exits(1);
    assert_eq!(values(&dir, "n"), [0, 5]);
    let failed = failed(&dir, 1);
    assert!(failed.iter().all(|(_, cause, _)| cause == "result"), "{failed:?}");
    for ((_, _, why), said) in failed.iter().zip(["canfar_run", "nested", "--max-result", "--max-result"]) {
        assert!(why.contains(said), "{failed:?}");
    }
}

#[test]
fn a_path_that_is_not_text_arrives_byte_for_byte() {
    let dir = Dir::new();
    let name = OsString::from_vec(b"data/a\xff\n.fits".to_vec());
    dir.write(&name, "x");
    let answer = "import base64\nsays(size=os.path.getsize(base64.b64decode(task['path_base64'])))";
    launch(&dir, &[], answer).run().exits(0);
    assert_eq!(values(&dir, "size"), [1]);
}

#[test]
fn a_request_longer_than_a_pipe_is_read_whole() {
    let dir = Dir::new();
    dir.write("list", format!("{}\nb\n", "a".repeat(1_000_000)));
    dir.write("worker.py", super::python("says(n=len(task['path']))"));
    let line = ["--files-from", "list", "-o", "out", "--worker", "-j", "1", "--", "python3", "worker.py"];
    dir.canfar_run().args(line).run().exits(0);
    assert_eq!(values(&dir, "n"), [1_000_000, 1]);
}

#[test]
fn with_no_result_asked_for_an_answer_is_a_sign_only() {
    let dir = Dir::with_inputs(2);
    launch(&dir, &["--result", "none"], "says(n=1)").run().exits(0);
    assert!(values(&dir, "n").iter().all(serde_json::Value::is_null));
}
