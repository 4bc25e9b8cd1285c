//! What each signal means to canfar-run, and which thread receives it.
//!
//! A signal that a program does not handle ends it, with its tasks or, worse, without them. So all signals are blocked from
//! the start, and a dedicated thread waits for those that mean something:
//!
//! | signals | meaning |
//! | --- | --- |
//! | TERM, INT, HUP, QUIT, XCPU, USR2 | stop in order; a second one: kill at once ([`REQUESTS`]) |
//! | USR1 | a scheduler's warning: start nothing more, let what runs finish ([`WARNING`]) |
//! | TSTP | Ctrl-Z: stop the tasks and this process until CONT ([`SUSPEND`]) |
//! | KILL, STOP, CONT | the kernel's alone |
//! | XFSZ | stays blocked, and a write beyond the limit fails as on a full disk |
//! | TTIN, TTOU | stay blocked: reading a terminal from the background fails, writing to it works |
//! | CHLD, WINCH, URG | nothing, as by default |
//! | ILL, FPE, SEGV, BUS, TRAP, SYS, ABRT | stay blocked: ignored where others send them; a fault of our own ends us all the same |
//! | ALRM, VTALRM, PROF, IO, PWR, STKFLT, PIPE, all real-time signals | stay blocked: nothing has a reason to send them |
//!
//! The C library keeps the first two or three real-time signals for itself: those can't be handled. Tasks start with no
//! signal blocked and with default handlers, except for signals that were ignored when this process was started, as under `nohup`:
//! tasks ignore those, too.

use std::io;
use std::sync::Arc;

use nix::sys::signal::{SigSet, Signal};

use crate::host::procfs;
use crate::process::shutdown::Shutdown;

/// The requests to stop.
pub const REQUESTS: [Signal; 6] =
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGXCPU, Signal::SIGUSR2];

/// What a scheduler sends some time before it stops a job.
pub const WARNING: Signal = Signal::SIGUSR1;

/// What Ctrl-Z sends.
pub const SUSPEND: Signal = Signal::SIGTSTP;

/// Blocks all signals, in this thread and in those that it starts from now on: they stay pending until a thread
/// [listens](listen), or the default is [back](restore_requests). Also makes the kernel keep the exit status of children, which it
/// does not if SIGCHLD was ignored.
pub fn block_all() {
    // Neither can fail; if they did, signals would do what they do by default.
    let _ = SigSet::all().thread_block();
    default_in_children(Signal::SIGCHLD);
}

/// For commands that need no clean shutdown: requests end them, and Ctrl-Z stops them, as is the default.
pub fn restore_requests() {
    let mut signals: SigSet = REQUESTS.into_iter().collect();
    [SUSPEND, Signal::SIGTTIN, Signal::SIGTTOU].into_iter().for_each(|signal| signals.add(signal));
    let _ = signals.thread_unblock();
}

/// Passes each of `signals` that arrives from now on to `hear`, one after the other, in its own thread. A signal that is
/// ignored (as under `nohup`) stays ignored, unless this is PID 1, for which the kernel ignores most anyway.
///
/// # Errors
/// When the thread can't be started.
pub fn listen(
    signals: impl IntoIterator<Item = Signal>,
    mut hear: impl FnMut(Signal) + Send + 'static,
) -> io::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    // Inherited from the parent process.
    let is_ignored =
        |signal: &Signal| procfs::has_signal(&status, "SigIgn:", *signal as i32).unwrap_or(false);
    let (ignored, mut heard): (Vec<Signal>, Vec<Signal>) = signals.into_iter().partition(is_ignored);
    if std::process::id() == 1 {
        ignored.iter().for_each(|signal| default_in_children(*signal));
        heard.extend(ignored);
    }
    let heard: SigSet = heard.into_iter().collect();
    heard.thread_block()?;
    let listening = move || {
        while let Ok(signal) = heard.wait() {
            hear(signal);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(listening)?;
    Ok(())
}

/// A shutdown that begins with the first request to stop, for what has no tasks.
///
/// # Errors
/// When the system is out of descriptors or threads.
pub fn shutdown_on_requests() -> io::Result<Arc<Shutdown>> {
    let shutdown = Arc::new(Shutdown::unconnected()?);
    let hearing = Arc::clone(&shutdown);
    listen(REQUESTS, move |signal| hearing.request(signal as i32))?;
    Ok(shutdown)
}

/// Installs a handler, which never runs since the signal is blocked: in place of being ignored, which children would
/// inherit, what is handled is as by default in them.
fn default_in_children(signal: Signal) {
    // Where that can't be had, all is as it was.
    let _ = signal_hook::flag::register(signal as i32, Arc::default());
}
