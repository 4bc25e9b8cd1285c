//! What the end of a process means for its task.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::model::outcome::{Cause, Failure, ProcessEnd};
use crate::process::child::Finished;
use crate::process::shutdown::Shutdown;
use crate::process::signals::{REQUESTS, WARNING};
use crate::process::supervisor::{AttemptLimits, EndedBy};
use crate::run::execute::ProcessSettings;

/// Signals sent to one process after the other by one sender arrive within this time, also on a busy host.
const SAME_MOMENT: Duration = Duration::from_secs(1);

/// A shell exits with this plus the number of the signal that ended its command.
const SHELLS_SIGNAL: i32 = 128;

/// Why the task failed; `None` after exit code 0 or another one that is no failure.
pub(super) fn failure(finished: &Finished, settings: &ProcessSettings) -> Option<Failure> {
    if finished.ended_by == Some(EndedBy::Timeout) {
        return Some(timeout(settings.limits));
    }
    let (cause, message) = match (finished.end.exit_code, finished.end.signal) {
        (Some(code), _) if settings.ok_codes.has(code) => return None,
        (Some(code), _) => (Cause::Exit, format!("exit code {code}{}", meaning(code))),
        (None, Some(signal)) => (Cause::Signal, format!("killed by {}", crate::units::signal(signal))),
        (None, None) => (Cause::Signal, "its exit was not observed".into()),
    };
    Some(Failure { cause, message })
}

/// What an exit code says where it is a shell's, of a command that a signal ended.
fn meaning(code: i32) -> String {
    let signal = code.checked_sub(SHELLS_SIGNAL).and_then(|number| Signal::try_from(number).ok());
    match signal {
        Some(Signal::SIGKILL) => {
            " (from a shell: its command was killed by SIGKILL (9), often because memory ran out)".to_owned()
        }
        Some(signal) => {
            format!(" (from a shell: its command was killed by {})", crate::units::signal(signal as i32))
        }
        None => String::new(),
    }
}

fn timeout(limits: AttemptLimits) -> Failure {
    let limit = crate::units::duration(limits.timeout.unwrap_or_default());
    Failure { cause: Cause::Timeout, message: format!("stopped after {limit} (--timeout)") }
}

/// Whether the task got its signal from the sender that also signalled us, as Slurm and systemd signal all of a job's processes at
/// once: its end may be noticed before our own signal.
pub(super) fn was_told_with_us(finished: &Finished, stop: &Shutdown) -> bool {
    let ProcessEnd { exit_code, signal } = finished.end;
    let told = signal.or_else(|| exit_code.map(|code| code - SHELLS_SIGNAL));
    let is = |told: i32, signal: Signal| told == signal as i32;
    finished.ended_by.is_none()
        && told.is_some_and(|told| {
            (REQUESTS.into_iter().any(|request| is(told, request)) && stop.begins_within(SAME_MOMENT))
                || (is(told, WARNING) && stop.drains_within(SAME_MOMENT))
        })
}
