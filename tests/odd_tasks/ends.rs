//! Every way to end: each exit code, each signal, from within another group or session.

use super::{how, ok};
use crate::support::Dir;

/// Signals that leave a process alive, or stopped, where nothing is said of them: CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG,
/// WINCH. 32 and 33 belong to the C library, whose tools don't send them everywhere.
const HARMLESS: [i64; 10] = [17, 18, 19, 20, 21, 22, 23, 28, 32, 33];

#[test]
fn an_end_by_any_signal_is_that_tasks_failure_and_tells_the_signal() {
    let signals: Vec<i64> = (1..=64).filter(|signal| !HARMLESS.contains(signal)).collect();
    let dir = Dir::with_inputs(65);
    // A shell may be unable to name it; without a core file.
    let script =
        "n=$CANFAR_TASK_INDEX; case \" $ENDING \" in *\" $n \"*) ulimit -c 0; kill -$n $$;; esac; echo '{ }'";
    let ending = signals.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let run = dir.launch().env("ENDING", ending).args(["-j", "4", "--max-failures", "none"]);
    let ended = run.sh(script).run().exits(1).says(&format!("{} failed", signals.len()));
    let mut failed: Vec<_> = dir
        .failures(1, 1)
        .iter()
        .map(|record| (record["canfar_run"]["index"].as_i64(), how(record)))
        .collect();
    failed.sort();
    let expected: Vec<_> = signals
        .iter()
        .map(|signal| (Some(*signal), (Some("signal".to_owned()), None, Some(*signal))))
        .collect();
    assert_eq!(failed, expected, "{ended}");
    assert_eq!(ok(&dir).len(), 65 - signals.len());
}

#[test]
fn every_exit_code_but_0_is_a_failure_that_tells_it() {
    let dir = Dir::with_inputs(256);
    let args = ["-j", "4", "--max-failures", "none"];
    dir.launch().args(args).sh("exit $CANFAR_TASK_INDEX").run().exits(1).says("255 failed");
    assert_eq!(ok(&dir), [0]);
    for failure in dir.failures(1, 1) {
        let index = failure["canfar_run"]["index"].as_i64();
        assert_eq!(how(&failure), (Some("exit".to_owned()), index, None));
    }
}

#[test]
fn a_task_in_a_session_of_its_own_is_waited_for_and_its_end_is_its_own() {
    let dir = Dir::with_inputs(3);
    let script = "exec setsid --wait sh -c 'sleep 0.1; : > done.$CANFAR_TASK_INDEX; exit $CANFAR_TASK_INDEX'";
    dir.launch().args(["-j", "2"]).sh(script).run().exits(1);
    assert_eq!((0..3).filter(|index| dir.exists(format!("done.{index}"))).count(), 3);
    let mut codes: Vec<_> = dir.failures(1, 1).iter().map(how).collect();
    codes.sort();
    let exit = |code| (Some("exit".to_owned()), Some(code), None);
    assert_eq!(codes, [exit(1), exit(2)]);
}
