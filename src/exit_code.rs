//! The numbers canfar-run exits with, what they mean, which one an error leads to, and which one wins when several apply.

use std::io;

use rustix::io::Errno;

/// Put on an error as its context: results could not be written (exit code 4).
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("results can't be written")]
pub struct CannotWrite;

/// An error, or the context of one, that is neither about usage nor about writing: what was asked for can't be done now, or
/// here (exit code 3). It says so itself.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct CannotGoOn(pub String);

/// How a canfar-run process ends. The numbers are part of the contract with scripts that call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// 0: all tasks are ok, or there was nothing to do.
    Ok,
    /// 1: some tasks failed.
    TasksFailed,
    /// 2: wrong usage or configuration; nothing was run.
    Usage,
    /// 3: incomplete. Tasks were left (`--deadline`, `--max-failures`), `merge` found files missing or unreadable, or what
    /// was asked for can't be done now: the replica is already running, the run is active or was moved away, its list is damaged,
    /// storage fails, or the system is short of processes, descriptors or memory.
    Incomplete,
    /// 4: results, or what was asked for on standard output, could not be written.
    CannotWrite,
    /// 128 + signal: stopped by that signal.
    Signal(i32),
}

impl ExitCode {
    /// The number given to the system.
    pub fn number(self) -> i32 {
        match self {
            Self::Ok => 0,
            Self::TasksFailed => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::CannotWrite => 4,
            Self::Signal(signal) => 128 + signal,
        }
    }

    /// What an error leads to that was not about a task.
    pub fn of_error(error: &anyhow::Error) -> Self {
        if error.downcast_ref::<CannotWrite>().is_some() {
            return Self::CannotWrite;
        }
        if error.downcast_ref::<CannotGoOn>().is_some() {
            return Self::Incomplete;
        }
        error.chain().find_map(|cause| cause.downcast_ref().map(Self::of_io_error)).unwrap_or(Self::Usage)
    }

    /// The exit code for a system error. Something that is missing, of another kind or not allowed was
    /// named or set up wrongly; anything else is not the user's fault.
    pub fn of_io_error(error: &io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(
                Errno::NOENT
                | Errno::NOTDIR
                | Errno::ISDIR
                | Errno::ACCESS
                | Errno::PERM
                | Errno::NAMETOOLONG
                | Errno::LOOP
                | Errno::INVAL
                | Errno::NOEXEC
                | Errno::TXTBSY
                | Errno::TOOBIG,
            ) => Self::Usage,
            _ => Self::Incomplete,
        }
    }

    /// Of two that apply, the one to exit with: 2, 4, 128+signal, 3, 1, 0.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self.precedence() <= other.precedence() { self } else { other }
    }

    fn precedence(self) -> u8 {
        match self {
            Self::Usage => 0,
            Self::CannotWrite => 1,
            Self::Signal(_) => 2,
            Self::Incomplete => 3,
            Self::TasksFailed => 4,
            Self::Ok => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::{Context, anyhow};
    use rustix::io::Errno;

    use super::CannotGoOn;
    use super::ExitCode::{self, CannotWrite, Incomplete, Ok, Signal, TasksFailed, Usage};

    #[test]
    fn an_error_of_the_system_is_wrong_usage_only_where_something_was_named_wrongly() {
        for (errno, code) in [
            (Errno::NOENT, Usage),
            (Errno::NOTDIR, Usage),
            (Errno::ISDIR, Usage),
            (Errno::ACCESS, Usage),
            (Errno::NAMETOOLONG, Usage),
            (Errno::IO, Incomplete),
            (Errno::STALE, Incomplete),
            (Errno::NOTCONN, Incomplete),
            (Errno::SHUTDOWN, Incomplete),
            (Errno::TIMEDOUT, Incomplete),
            (Errno::MFILE, Incomplete),
            (Errno::NFILE, Incomplete),
            (Errno::AGAIN, Incomplete),
            (Errno::NOMEM, Incomplete),
            // Not everything that is written is a result.
            (Errno::NOSPC, Incomplete),
            (Errno::DQUOT, Incomplete),
            (Errno::ROFS, Incomplete),
        ] {
            let error = || io::Error::from(errno);
            assert_eq!(ExitCode::of_io_error(&error()), code, "{errno:?}");
            let told = Err::<(), _>(error()).context("can't read").context("more").unwrap_err();
            assert_eq!(ExitCode::of_error(&told), code, "{errno:?}");
            let written = told.context(super::CannotWrite);
            assert_eq!(ExitCode::of_error(&written.context("more")), CannotWrite, "{errno:?}");
        }
        assert_eq!(ExitCode::of_io_error(&io::ErrorKind::UnexpectedEof.into()), Incomplete);
    }

    #[test]
    fn what_says_that_it_can_t_go_on_is_no_wrong_usage_and_all_else_is() {
        assert_eq!(ExitCode::of_error(&anyhow!("unknown option").context("more")), Usage);
        let denied = || io::Error::from(Errno::ACCESS);
        let cannot = || CannotGoOn("can't read".into());
        assert_eq!(ExitCode::of_error(&anyhow!(cannot()).context("more")), Incomplete);
        let told = Err::<(), _>(denied()).context(cannot()).context("more").unwrap_err();
        assert_eq!(ExitCode::of_error(&told), Incomplete);
        assert!(format!("{told:#}").starts_with("more: can't read: Permission denied"));
    }

    #[test]
    fn the_stronger_of_two_codes_wins_whatever_their_order() {
        let by_strength = [Usage, CannotWrite, Signal(15), Incomplete, TasksFailed, Ok];
        for (place, strong) in by_strength.iter().enumerate() {
            for weak in &by_strength[place..] {
                assert_eq!(strong.or(*weak), *strong);
                assert_eq!(weak.or(*strong), *strong);
            }
        }
    }
}
