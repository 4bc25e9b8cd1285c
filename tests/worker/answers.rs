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
fn who_answers_more_than_once_is_started_afresh_and_no_answer_goes_to_another_task() {
    for (twice, said) in [
        // In one go.
        ("print('{\"n\": 2}\\n{\"n\": 2}')", "another answer behind the first"),
        // The second is unfinished.
        ("os.write(1, b'{\"n\": 2}\\n{\"n\"')", "another answer behind the first"),
        // The second comes while nothing is asked, or before the next question is read.
        ("says(n=2); time.sleep(0.2); says(n=2); time.sleep(0.5)", "answer"),
    ] {
        let dir = Dir::with_inputs(6);
        launch(&dir, &["-j", "1"], &format!("if index == 2: {twice}\nelse: says(n=index)")).run().exits(1);
        let failed = failed(&dir, 1);
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert_eq!(failed[0].1, "result");
        assert!(failed[0].2.contains("more than once") && failed[0].2.contains(said), "{failed:?}");
        for record in dir.results(1) {
            assert_eq!(record["n"], record["canfar_run"]["index"], "{twice}");
        }
    }
}

#[test]
fn who_answers_without_having_read_is_believed_nothing() {
    let dir = Dir::with_inputs(3);
    let script = "while :; do echo '{\"n\": 1}'; sleep 0.05; done";
    dir.launch().args(["-j", "1", "--worker", "--shell", script]).run().exits(1);
    assert_eq!(dir.results(1).len(), 0);
    assert!(
        failed(&dir, 1).iter().all(|(_, cause, why)| cause == "result" && why.contains("more than once"))
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
