//! What is wrong with storage, judging by the system's error, and what to do about it.

use std::io;

use rustix::io::Errno;

/// Kinds of trouble with storage that ask for different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageTrouble {
    /// There is no room left.
    Full,
    /// The user's or group's quota is used up.
    Quota,
    /// The file would be larger than this process may make one (`ulimit -f`).
    FileTooLarge,
    /// It is mounted read-only.
    ReadOnly,
    /// This user may not.
    Denied,
    /// The file, or a folder above it, was removed or moved away.
    Removed,
    /// The mount died, or this client was cut off from its server.
    Gone,
    /// Something else.
    Other,
}

impl StorageTrouble {
    /// By the system's error.
    pub fn of(error: &io::Error) -> Self {
        match errno_of(error) {
            Some(Errno::NOSPC) => Self::Full,
            Some(Errno::DQUOT) => Self::Quota,
            Some(Errno::FBIG) => Self::FileTooLarge,
            Some(Errno::ROFS) => Self::ReadOnly,
            Some(Errno::ACCESS | Errno::PERM) => Self::Denied,
            Some(Errno::NOENT | Errno::NOTDIR) => Self::Removed,
            #[cfg(target_os = "linux")]
            Some(Errno::REMOTEIO) => Self::Gone,
            Some(
                Errno::IO
                | Errno::STALE
                | Errno::NOTCONN
                | Errno::SHUTDOWN
                | Errno::NODEV
                | Errno::NXIO
                | Errno::TIMEDOUT
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::CONNABORTED
                | Errno::CONNRESET,
            ) => Self::Gone,
            _ => Self::Other,
        }
    }

    /// Of an error with contexts: that of the system's error in it.
    pub fn in_error(error: &anyhow::Error) -> Self {
        error.chain().find_map(|cause| cause.downcast_ref()).map_or(Self::Other, Self::of)
    }

    /// What to do about it; empty if unknown.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Full => "Free some space there",
            Self::Quota => "The quota is used up: remove files there, or ask for a larger quota",
            Self::FileTooLarge => "The limit on the size of files is too low: raise it (ulimit -f)",
            Self::ReadOnly => "It is mounted read-only: mount it for writing, or write elsewhere",
            Self::Denied => "This user may not write there: change the permissions, or write elsewhere",
            Self::Removed => "Something removed or moved it",
            Self::Gone => {
                "The storage is gone: its mount died, or the file server has disconnected this host. Rerun the same command when it is back, or on another host"
            }
            Self::Other => "",
        }
    }
}

/// The system's error, also if it is wrapped in one of ours.
fn errno_of(error: &io::Error) -> Option<Errno> {
    let below = || {
        let mut source = error.get_ref()?.source();
        while let Some(cause) = source {
            if let Some(errno) = cause.downcast_ref().and_then(Errno::from_io_error) {
                return Some(errno);
            }
            source = cause.source();
        }
        None
    };
    Errno::from_io_error(error).or_else(below)
}

/// Something that could not be written, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageError {
    /// What could not be done, and the system's error.
    pub text: String,
    /// What kind of trouble it is.
    pub trouble: StorageTrouble,
}

impl StorageError {
    /// Of what could not be done: `can't write the journal`.
    pub fn new(what: &str, error: &io::Error) -> Self {
        Self { text: format!("{what}: {error}"), trouble: StorageTrouble::of(error) }
    }
}

impl From<&anyhow::Error> for StorageError {
    fn from(error: &anyhow::Error) -> Self {
        Self { text: format!("{error:#}"), trouble: StorageTrouble::in_error(error) }
    }
}

impl std::fmt::Display for StorageError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.trouble.advice() {
            "" => out.write_str(&self.text),
            advice => write!(out, "{}. {advice}", self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context;
    use rustix::io::Errno;

    use super::{StorageError, StorageTrouble};

    #[test]
    fn storage_that_is_gone_is_not_storage_without_room() {
        for (errno, advice) in [
            (Errno::NOSPC, "Free some space there"),
            (Errno::DQUOT, "quota"),
            (Errno::ROFS, "read-only"),
            (Errno::ACCESS, "permissions"),
            (Errno::NOTCONN, "The storage is gone"),
            (Errno::SHUTDOWN, "The storage is gone"),
            (Errno::STALE, "The storage is gone"),
            (Errno::IO, "The storage is gone"),
        ] {
            let error = StorageError::new("can't write the journal", &errno.into());
            assert!(error.to_string().contains(advice), "{error}");
            assert_eq!(error.to_string().contains("Free some space"), errno == Errno::NOSPC, "{error}");
        }
    }

    #[test]
    fn the_systems_error_is_found_below_any_context() {
        let error = Err::<(), _>(io::Error::from(Errno::NOTCONN)).context("a").context("b").unwrap_err();
        assert_eq!(StorageTrouble::in_error(&error), StorageTrouble::Gone);
        assert_eq!(
            StorageError::from(&error).text,
            "b: a: Transport endpoint is not connected (os error 107)"
        );
    }
}
