//! The numbers canfar-run exits with, what they mean, and which one wins when several apply.

/// How a canfar-run process ends. The numbers are part of the contract with scripts that call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// 0: all tasks are ok, or there was nothing to do.
    Ok,
    /// 1: some tasks failed.
    TasksFailed,
    /// 2: wrong usage or configuration; nothing was run.
    Usage,
    /// 3: tasks were left (`--deadline`, `--max-failures`), or `merge` found files missing or unreadable.
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
    use super::ExitCode::{CannotWrite, Incomplete, Ok, Signal, TasksFailed, Usage};

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
