//! Why a launch ends with tasks left, and what follows from it: which of two reasons counts, its name in the journal,
//! the exit code and the message.

use std::path::Path;

use crate::exit_code::ExitCode;
use crate::host::storage::StorageError;
use crate::journal::event::StopReason;
use crate::units;

/// Why no more tasks are started although there are some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EarlyStop {
    /// A signal.
    Signal(i32),
    /// `--deadline`.
    Deadline,
    /// A signal after which nothing more is started.
    Drained(i32),
    /// `--max-failures`, with what was found.
    MaxFailures(String),
    /// Results can't be written, with the reason.
    CannotWrite(StorageError),
    /// Products can't be written, with the reason.
    CannotPublish(StorageError),
    /// The command can't be started for any file, with the reason and what that leads to.
    CannotStart(String, ExitCode),
    /// The system stays short of processes, descriptors or memory, with its error.
    Short(String),
    /// A newer launch of this replica took over.
    Superseded,
}

impl EarlyStop {
    /// Of two reasons the more severe one counts: first whether this launch may write at all, then the order of exit codes.
    fn severity(&self) -> u8 {
        match self {
            Self::Superseded => 4,
            Self::CannotStart(..) => 3,
            Self::CannotWrite(_) | Self::CannotPublish(_) => 2,
            Self::Signal(_) => 1,
            Self::Deadline | Self::Drained(_) | Self::MaxFailures(_) | Self::Short(_) => 0,
        }
    }

    /// Whether it counts in place of an earlier one; of equally severe ones the earlier counts.
    pub fn replaces(&self, earlier: Option<&Self>) -> bool {
        earlier.is_none_or(|earlier| self.severity() > earlier.severity())
    }

    /// The one of the two that counts.
    #[must_use]
    pub fn or_earlier(self, earlier: Option<Self>) -> Self {
        earlier.filter(|earlier| !self.replaces(Some(earlier))).unwrap_or(self)
    }

    /// Whether it only keeps tasks from being started, so that it is no reason once all were.
    pub fn only_drains(&self) -> bool {
        matches!(self, Self::Deadline | Self::Drained(_) | Self::MaxFailures(_))
    }

    /// Its name in journals and summaries.
    pub fn reason(&self) -> StopReason {
        match self {
            Self::Signal(_) | Self::Drained(_) => StopReason::Signal,
            Self::Deadline => StopReason::Deadline,
            Self::MaxFailures(_) => StopReason::MaxFailures,
            Self::CannotWrite(_) | Self::CannotPublish(_) => StopReason::CannotWrite,
            Self::CannotStart(..) => StopReason::CannotStart,
            Self::Short(_) => StopReason::Short,
            Self::Superseded => StopReason::Superseded,
        }
    }

    /// The signal, if it was one.
    pub fn signal(&self) -> Option<i32> {
        match self {
            Self::Signal(signal) | Self::Drained(signal) => Some(*signal),
            _ => None,
        }
    }

    /// What it leads to, whatever became of the tasks.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Signal(signal) => ExitCode::Signal(*signal),
            Self::CannotWrite(_) | Self::CannotPublish(_) => ExitCode::CannotWrite,
            // Even if earlier tasks ran: nothing of what was asked for can run as it is.
            Self::CannotStart(_, code) => *code,
            Self::Superseded => ExitCode::Incomplete,
            Self::Deadline | Self::Drained(_) | Self::MaxFailures(_) | Self::Short(_) => ExitCode::Ok,
        }
    }

    /// For people, of a run in `results_dir`.
    pub fn in_words(&self, results_dir: &Path) -> String {
        match self {
            Self::Signal(signal) => units::signal(*signal),
            Self::Deadline => "the deadline has passed (--deadline)".to_owned(),
            Self::Drained(signal) => {
                format!(
                    "{}: no more tasks were started, and running ones could finish",
                    units::signal(*signal)
                )
            }
            Self::MaxFailures(why) => format!("{why}. Correct the command first, or allow more failures"),
            Self::CannotWrite(why) => format!("results can't be written in {}: {why}", results_dir.display()),
            Self::CannotPublish(why) => format!("products can't be written: {why}"),
            Self::CannotStart(why, _) => {
                let end = if why.ends_with('?') { "" } else { "." };
                format!("{why}{end} No failure was recorded, since every file would fail in the same way")
            }
            Self::Short(why) => format!(
                "nothing could be started or published for one minute: {why}; leftover processes may be using up the limits on processes and open files (ulimit -u, pids.max, ulimit -n)"
            ),
            Self::Superseded => "a newer launch of this replica took over".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EarlyStop;

    #[test]
    fn the_more_severe_reason_counts_and_of_equal_ones_the_earlier() {
        let of_two = |earlier: EarlyStop, later: EarlyStop| later.or_earlier(Some(earlier));
        assert_eq!(of_two(EarlyStop::Deadline, EarlyStop::Signal(15)), EarlyStop::Signal(15));
        assert_eq!(of_two(EarlyStop::Signal(2), EarlyStop::Signal(15)), EarlyStop::Signal(2));
        assert_eq!(of_two(EarlyStop::Superseded, EarlyStop::Signal(15)), EarlyStop::Superseded);
        assert_eq!(EarlyStop::Deadline.or_earlier(None), EarlyStop::Deadline);
    }
}
