//! What the first thread does while another one works: it reaps the orphans that the kernel gives to it, and
//! makes sure that a shutdown finishes, whatever hangs.
//!
//! Nothing here may block, so it does not touch storage.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::raise;

use crate::exit_code::ExitCode;
use crate::process::descendants::{Descendants, PATIENCE, reap_orphans};
use crate::process::shutdown::Shutdown;
use crate::process::signals::{REQUESTS, SUSPEND, WARNING, listen};
use crate::process::spawn::hold_starts;
use crate::units;

/// How often orphans are reaped.
const LOOK: Duration = Duration::from_millis(250);

/// From the first signal until this process ends, at the latest: what is done after it, and a busy machine, have a second
/// until the 25 that are promised.
const LAST_MOMENT: Duration = Duration::from_secs(24);

/// The same from the second signal: its sender does not want to wait for storage. Tasks that hang in the kernel are given up
/// before.
const SECOND_LAST_MOMENT: Duration = Duration::from_secs(5);

/// The longest time for killing what is left, and reporting it, when there is no time.
const HASTE: Duration = Duration::from_millis(300);

/// How long it may take to find everything that must be stopped on Ctrl-Z.
const SUSPENSION_PATIENCE: Duration = Duration::from_secs(1);

/// As much as the first thread has.
const STACK: usize = 8 * 1024 * 1024;

/// Runs `work` in its own thread while the calling one, which must be the first, handles signals and orphans.
/// When this returns, no descendant is left that was not there before.
///
/// # Errors
/// When signals can't be taken over or the thread can't be started.
pub fn run_as_init<T: Send>(
    work: impl FnOnce(&Shutdown, &Descendants) -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let descendants = Arc::new(Descendants::become_subreaper());
    let stop = hear_signals(&descendants).context("can't take over signals")?;
    let (working, is_working) = channel::<()>();
    std::thread::scope(|scope| {
        let work = || {
            let _working = working;
            work(&stop, &descendants)
        };
        let thread = std::thread::Builder::new().name("work".into()).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, work).context("can't start a thread")?;
        let mut asked = InitRequest::default();
        while is_working.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            reap_orphans();
            if let Some(signal) = stop.signal()
                && let Some(overdue) = asked.overdue(signal, stop.is_forced(), Instant::now())
            {
                leave(signal, &overdue, &descendants);
            }
        }
        let ended = thread.join();
        descendants.kill_all(PATIENCE);
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Handles signals from now on.
fn hear_signals(descendants: &Arc<Descendants>) -> io::Result<Arc<Shutdown>> {
    let shutdown = Arc::new(Shutdown::unconnected()?);
    let (hearing, descendants) = (Arc::clone(&shutdown), Arc::clone(descendants));
    // The kernel stops no PID 1 from inside its container.
    let suspend = Some(SUSPEND).filter(|_| std::process::id() != 1);
    listen(REQUESTS.into_iter().chain([WARNING]).chain(suspend), move |signal| match signal {
        WARNING => hearing.drain(signal as i32),
        SUSPEND => suspend_all(&descendants),
        _ => hearing.request(signal as i32),
    })?;
    Ok(shutdown)
}

/// Stops what tasks are made of and this process, until that is continued.
fn suspend_all(descendants: &Descendants) {
    // Processes started meanwhile would keep running. If storage blocks the execution of a program, it does.
    let _held = hold_starts(SUSPENSION_PATIENCE);
    let stopped = descendants.stop_all(SUSPENSION_PATIENCE);
    // To this very thread, which so does not get further before all of them are stopped.
    let _ = raise(nix::sys::signal::Signal::SIGSTOP);
    stopped.go_on();
}

/// When the first and the second signal were seen.
#[derive(Debug, Default)]
struct InitRequest {
    once: Option<Instant>,
    twice: Option<Instant>,
}

impl InitRequest {
    /// After what this process is still busy, if it is time to end all the same. Asked again and again from the first
    /// signal on.
    fn overdue(&mut self, signal: i32, is_twice: bool, now: Instant) -> Option<String> {
        let once = *self.once.get_or_insert(now);
        let twice = is_twice.then(|| *self.twice.get_or_insert(now));
        let is_over = |since: Instant, limit| now.duration_since(since) >= limit;
        if twice.is_some_and(|twice| is_over(twice, SECOND_LAST_MOMENT)) {
            Some(format!("{} after a second signal", units::duration(SECOND_LAST_MOMENT)))
        } else if is_over(once, LAST_MOMENT) {
            Some(format!("{} after {}", units::duration(LAST_MOMENT), units::signal(signal)))
        } else {
            None
        }
    }
}

/// Ends this process although the work is not over.
fn leave(signal: i32, overdue: &str, descendants: &Descendants) -> ! {
    let text = format!(
        "canfar-run: error: forced exit: still busy {overdue}; storage may not be responding. Tasks that ended are in the journal, as far as it could be written; rerun the same command to run the rest"
    );
    let (saying, is_saying) = channel::<()>();
    // Standard error may be what hangs.
    let _ = std::thread::Builder::new().spawn(move || {
        let _ = writeln!(io::stderr(), "{text}");
        drop(saying);
    });
    descendants.kill_all(HASTE);
    let _ = is_saying.recv_timeout(HASTE);
    // Skip exit handlers, which may block, too.
    signal_hook::low_level::exit(ExitCode::Signal(signal).number())
}
