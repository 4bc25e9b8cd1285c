//! Which signals stop a launch, and that no other one does.

use std::process::Command;

use rustix::process::Signal;

use super::{WAYS, Way, began, execute, held, launch, let_go};
use crate::support::{DEADLINE, Run, exists, wait_until};

/// STOP and TSTP stop, KILL can't be handled; the C library keeps 32 to 34 for itself.
fn strays() -> impl Iterator<Item = i32> {
    let [lowest, highest] = [1, 64];
    let meant = [
        Signal::HUP,
        Signal::INT,
        Signal::QUIT,
        Signal::KILL,
        Signal::USR1,
        Signal::USR2,
        Signal::TERM,
        Signal::CONT,
        Signal::STOP,
        Signal::TSTP,
        Signal::XCPU,
    ];
    (lowest..=highest).filter(move |number| {
        !(32..=34).contains(number) && !meant.iter().any(|signal| signal.as_raw() == *number)
    })
}

fn kill(number: i32, pid: u32) {
    let sent = Command::new("/bin/sh").args(["-c", &format!("kill -{number} {pid}")]).status().unwrap();
    assert!(sent.success(), "{number}");
}

#[test]
fn no_signal_without_a_meaning_does_anything() {
    let dir = held(2);
    let running = launch(&dir, &["-j", "1"], Way::Command);
    began(&dir, 1);
    // A handler may be gone after the first time.
    for number in strays().chain(strays()) {
        kill(number, running.pid());
    }
    let_go(&dir);
    let ended = running.wait().exits(0);
    assert_eq!(dir.lines("ran"), ["000.fits", "001.fits"], "{ended}");
}

#[test]
fn each_request_stops_in_order_and_leaves_nobody() {
    let requests = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::USR2, Signal::TERM, Signal::XCPU];
    for (number, signal) in requests.into_iter().enumerate() {
        let dir = held(3);
        let way = WAYS[number % WAYS.len()];
        let running = launch(&dir, &["-j", "2"], way);
        began(&dir, 2);
        let tasks = dir.lines("pids");
        running.signal(signal);
        running.wait().exits(128 + signal.as_raw()).says("3 not run");
        assert!(!tasks.iter().any(|pid| exists(pid)), "{signal:?}");
        assert!(dir.exists("out/container_1_results.json"), "{signal:?}");
        // Twice more: what is blamed for a death is so for the second one.
        for number in 2..=3 {
            let running = launch(&dir, &["-j", "2"], way);
            wait_until(DEADLINE, "it begins again", || !dir.events_of(1, number, "start").is_empty());
            running.signal(signal);
            running.wait().exits(128 + signal.as_raw());
        }
        let_go(&dir);
        let ended = launch(&dir, &[], way).wait().exits(0);
        assert_eq!(dir.results(1).len(), 3, "{signal:?}: {ended}");
    }
}

#[test]
fn a_storm_of_signals_ends_it_once_and_soon() {
    let dir = held(4);
    let running = launch(&dir, &["-j", "2", "--grace", "1h"], Way::Command);
    began(&dir, 2);
    let tasks = dir.lines("pids");
    for signal in [Signal::USR1, Signal::USR1, Signal::ALARM, Signal::TERM, Signal::USR2, Signal::INT] {
        running.signal(signal);
    }
    let ended = running.wait().says("4 not run");
    assert!([130, 140, 143].contains(&ended.code.unwrap()), "{ended}");
    assert!(!tasks.iter().any(|pid| exists(pid)));
    let_go(&dir);
    launch(&dir, &[], Way::Command).wait().exits(0);
}

#[test]
fn a_signal_that_comes_before_anybody_listens_is_not_lost() {
    for _ in 0..20 {
        let dir = held(1);
        // Blocked, so that it waits for whom the shell becomes.
        let script = "import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR2])
os.kill(os.getpid(), signal.SIGUSR2)
os.execv(sys.argv[1], sys.argv[1:])";
        let run = Run::of(&dir, "python3").args(["-c", script, env!("CARGO_BIN_EXE_canfar-run")]);
        execute(run.args(["-i", "data/*.fits", "-o", "out"]), Way::Command).wait().exits(140);
        assert_eq!(dir.lines("ran"), Vec::<String>::new());
    }
}

#[test]
fn tasks_are_started_with_nothing_blocked_and_what_was_ignored_stays_so() {
    let ask = "import re, signal
masks = dict(line.split(':\\t') for line in open('/proc/self/status').read().splitlines() if line.startswith('Sig'))
print({'blocked': masks['SigBlk'], 'ignored': [n for n in range(1, 32) if IGNORED >> (n - 1) & 1]}, file=open('said', 'a'))";
    // Python itself ignores PIPE and XFSZ.
    let ask = ask.replace("IGNORED", "(int(masks['SigIgn'], 16) & ~(1 << 12 | 1 << 24))");
    for (ignored, expected) in [("", "[]"), ("HUP USR1 TSTP QUIT CHLD", "[1, 3, 10, 20]")] {
        for way in [&["--chdir", "."][..], &[]] {
            let dir = held(1);
            dir.write("ask.py", &ask);
            let trap = if ignored.is_empty() { ":".to_owned() } else { format!("trap '' {ignored}") };
            let script = format!("{trap}; exec \"$@\"");
            Run::of(&dir, "/bin/sh")
                .args(["-c", &script, "sh"])
                .args([env!("CARGO_BIN_EXE_canfar-run"), "-i", "data/*.fits", "-o", "out"])
                .args(way)
                .args(["--", "python3", "ask.py"])
                .run()
                .exits(0);
            let said = format!("{{'blocked': '0000000000000000', 'ignored': {expected}}}");
            assert_eq!(dir.lines("said"), [said], "{ignored} {way:?}");
        }
    }
}

#[test]
fn how_tasks_end_is_known_also_where_the_ends_of_children_were_ignored() {
    let dir = held(2);
    Run::of(&dir, "/bin/sh")
        .args(["-c", "trap '' CHLD; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_canfar-run")])
        .args(["-i", "data/*.fits", "-o", "out"])
        .sh("[ $CANFAR_TASK_INDEX = 0 ] || exit 7")
        .run()
        .exits(1)
        .says("exit code 7");
    assert_eq!(dir.results(1).len(), 1);
}
