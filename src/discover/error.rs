//! Why the input files could not be found, in words that help.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::quoted::{Quoted, some_of};
use crate::encoding::ForeignEncoding;
use crate::exit_code::{CannotGoOn, ExitCode};
use crate::model::entries::TooLong;

/// What can go wrong while the inputs are looked for. Its text is complete: causes are part of it.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// `keep_going` returned false.
    #[error("the search for input files was stopped")]
    Stopped,
    /// Patterns that matched nothing.
    #[error("{0}")]
    NoMatch(NoMatch),
    /// Something matched, and all of it was excluded.
    #[error(
        "everything that the input patterns matched ({found}) was left out by --exclude {}: \
         nothing is left to run",
        some_of(exclude, 10)
    )]
    AllExcluded {
        /// What was left out: `3 entries`, or folders that were not entered.
        found: String,
        /// The exclude patterns.
        exclude: Vec<OsString>,
    },
    /// A glob of `--exclude` that is broken.
    #[error(
        "--exclude {} is not a valid glob: {cause}. To match a special character itself, put it in brackets, as in [[]",
        Quoted::from(glob)
    )]
    BadExclude {
        /// The glob.
        glob: OsString,
        /// What is wrong with it.
        cause: String,
    },
    /// The list can't be known to be complete.
    #[error(
        "cannot {action} {}: {cause}\nThe list of input files would not be complete, so nothing was started. \
         Rerun once the storage responds, or leave the folder out with --exclude.",
        Quoted::from(path)
    )]
    Listing {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// The kernel's answer.
        cause: io::Error,
    },
    /// The size of an entry could not be determined.
    #[error(
        "cannot tell the size of {}: {cause}\nThe strategy `size` needs the size of every entry; \
         remove this one from the list or choose another strategy.",
        Quoted::from(path)
    )]
    Size {
        /// The entry.
        path: PathBuf,
        /// The kernel's answer.
        cause: io::Error,
    },
    /// The threads that list folders could not be started.
    #[error(
        "cannot start a thread that lists folders: {0}. The limit on processes (ulimit -u, pids.max) must leave room \
         for at least ten"
    )]
    Threads(rayon::ThreadPoolBuildError),
    /// What was found is longer than any path.
    #[error(transparent)]
    TooLong(TooLong),
    /// `--files-from` could not be read.
    #[error("cannot read the list of entries {name}: {cause}")]
    Entries {
        /// What the list is called.
        name: String,
        /// Why.
        cause: io::Error,
    },
    /// `--files-from` is no UTF-8 text.
    #[error("{name} {encoding}")]
    Encoding {
        /// What the list is called.
        name: String,
        /// What it is instead.
        encoding: ForeignEncoding,
    },
    /// A line of `--files-from` ends with a carriage return.
    #[error(
        "line {line} of {name} ends with a carriage return: the file has Windows line endings, \
         which would become part of every name. Remove them (`tr -d '\\r'`), \
         or give --null and NUL-separated entries if they are meant"
    )]
    CarriageReturn {
        /// What the list is called.
        name: String,
        /// 1-based.
        line: usize,
    },
    /// A line of `--files-from` holds a NUL, which no argument can.
    #[error("line {line} of {name} holds a NUL byte: give --null if its entries are NUL-separated")]
    Nul {
        /// What the list is called.
        name: String,
        /// 1-based.
        line: usize,
    },
}

impl DiscoverError {
    /// The same as an error that leads to the right exit code.
    pub fn with_exit_code(self) -> anyhow::Error {
        let code = match &self {
            Self::Listing { cause, .. } | Self::Size { cause, .. } | Self::Entries { cause, .. } => {
                ExitCode::of_io_error(cause)
            }
            Self::Stopped | Self::Threads(_) => ExitCode::Incomplete,
            _ => ExitCode::Usage,
        };
        if code == ExitCode::Incomplete { CannotGoOn(self.to_string()).into() } else { self.into() }
    }
}

/// The patterns that matched nothing.
#[derive(Debug)]
pub struct NoMatch {
    /// How many patterns there were in all.
    pub of: usize,
    /// Those without a match, in the order given; the first ones with help.
    pub patterns: Vec<Unmatched>,
}

/// One pattern that matched nothing.
#[derive(Debug)]
pub struct Unmatched {
    /// As it was given.
    pub pattern: OsString,
    /// What may explain it, a line each.
    pub help: Vec<String>,
}

/// How many patterns are shown; the rest are only counted.
pub(super) const SHOWN_PATTERNS: usize = 20;

impl fmt::Display for NoMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = self.patterns.len();
        match (missing, self.of) {
            (1, 1) => writeln!(f, "the input pattern matched nothing:")?,
            (_, of) => writeln!(f, "{missing} of {of} input patterns matched nothing:")?,
        }
        for unmatched in self.patterns.iter().take(SHOWN_PATTERNS) {
            writeln!(f, "  {}", Quoted::from(&unmatched.pattern))?;
            for line in &unmatched.help {
                writeln!(f, "      {line}")?;
            }
        }
        if missing > SHOWN_PATTERNS {
            writeln!(f, "  ... and {} more", missing - SHOWN_PATTERNS)?;
        }
        f.write_str("Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.")
    }
}
