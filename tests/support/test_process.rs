//! The test process itself: the signals that all it starts inherit, and the time that one test may take.

use std::collections::BTreeMap;
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};
use rustix::process::{Pid, kill_process};

use super::{Dir, Process, Run};

/// No test takes so long, also on a busy machine.
const LONGEST: Duration = Duration::from_mins(15);

const LOOK: Duration = Duration::from_secs(1);

/// The system calls it before `main`, when there is no other thread.
#[used]
#[expect(unsafe_code, reason = "nothing of libtest's runs before the first test")]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static BEFORE_MAIN: extern "C" fn() = take_default_signals;

/// A process inherits which signals are ignored and which are blocked: under `nohup`, or in the background of a shell,
/// tests would start programs that never hear of some.
extern "C" fn take_default_signals() {
    for every in Signal::iterator() {
        // SAFETY: it installs no handler. KILL and STOP can't be set, and need not be.
        #[expect(unsafe_code, reason = "only for handlers does it matter who calls this")]
        let _ = unsafe { signal(every, SigHandler::SigDfl) };
    }
    let _ = SigSet::empty().thread_set_mask();
}

/// The tests that have a folder: which, and since when.
static UNDER_WAY: Mutex<BTreeMap<u64, (String, Instant)>> = Mutex::new(BTreeMap::new());

/// A time in which a test has to end. One that does not, though all that it waits for has a deadline, hangs where no
/// thread can be ended: then all tests end, with all that they started.
#[derive(Debug)]
pub(super) struct TimeLimit(u64);

impl TimeLimit {
    pub(super) fn begin() -> Self {
        static WATCHDOG: Once = Once::new();
        WATCHDOG.call_once(|| _ = std::thread::spawn(watch));
        let name = std::thread::current().name().unwrap_or("a thread of a test").to_owned();
        let mut tests = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        let number = tests.last_key_value().map_or(0, |(last, _)| last + 1);
        tests.insert(number, (name, Instant::now()));
        Self(number)
    }
}

impl Drop for TimeLimit {
    fn drop(&mut self) {
        UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

fn watch() {
    loop {
        std::thread::sleep(LOOK);
        let tests = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, _)) = tests.values().find(|(_, begun)| begun.elapsed() > LONGEST) {
            eprintln!("{name} has not ended after {LONGEST:?}: this ends all tests");
            for process in Process::descendants_of(rustix::process::getpid()) {
                let _ =
                    Pid::from_raw(process.pid).map(|pid| kill_process(pid, rustix::process::Signal::KILL));
            }
            std::process::abort();
        }
    }
}

#[test]
fn what_tests_start_ignores_no_signal_whatever_they_were_started_to_ignore() {
    let dir = Dir::new();
    let ignore = "trap '' HUP INT QUIT USR1 USR2 PIPE TERM TSTP TTIN TTOU; exec \"$@\"";
    let tests = std::env::current_exe().unwrap();
    let inner = ["--exact", "support::test_process::a_program_that_a_test_starts", "--ignored"];
    let ended = Run::of(&dir, "/bin/sh").args(["-c", ignore, "sh"]).arg(tests).args(inner).run().exits(0);
    assert!(ended.printed().contains("1 passed"), "{ended}");
}

#[test]
#[ignore = "another test starts it"]
fn a_program_that_a_test_starts() {
    let dir = Dir::new();
    let status = Run::of(&dir, "cat").arg("/proc/self/status").run().exits(0).printed();
    for signals in ["SigIgn:", "SigBlk:"] {
        let set = status.lines().find_map(|line| line.strip_prefix(signals)).unwrap();
        let set = u64::from_str_radix(set.trim(), 16).unwrap();
        // Above are real-time signals, two of which the C library keeps to itself.
        assert_eq!(set & 0x7fff_ffff, 0, "{signals} in {status}");
    }
}
