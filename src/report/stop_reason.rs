//! Why a launch stopped, in words.

use crate::journal::event::StopReason;

/// Continues a sentence such as "stopped early: ".
pub(super) fn in_words(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Done => "it had run everything it had to",
        StopReason::Signal => "a signal",
        StopReason::Deadline => "--deadline",
        StopReason::MaxFailures => "--max-failures",
        StopReason::CannotWrite => "results could not be written",
        StopReason::CannotStart => "the command can't be started",
        StopReason::Short => "the system was short of processes, descriptors or memory",
        StopReason::Superseded => "a newer launch took over",
        StopReason::Other => "for a reason that a later version of canfar-run knows",
    }
}
