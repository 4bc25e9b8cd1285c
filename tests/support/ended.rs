//! What a process came to, and what is shown of it when that is not what a test wants.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use serde_json::Value;

use super::Tree;

/// A process that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    line: String,
    tree: Tree,
}

impl Ended {
    pub(super) fn new(status: ExitStatus, stdout: Vec<u8>, stderr: String, line: &str, tree: Tree) -> Self {
        Self { code: status.code(), signal: status.signal(), stdout, stderr, line: line.to_owned(), tree }
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code of\n{self}");
        self
    }

    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is missing on standard error of\n{self}");
        self
    }

    #[track_caller]
    pub(crate) fn says_not(self, text: &str) -> Self {
        assert!(!self.stderr.contains(text), "{text:?} is on standard error of\n{self}");
        self
    }

    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        assert_eq!(self.printed(), text, "standard output of\n{self}");
        self
    }

    /// Standard output, which is text.
    pub(crate) fn printed(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard output, which is one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in standard output of\n{self}"))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, code, signal, stderr, tree, .. } = self;
        let stdout = self.printed();
        write!(
            out,
            "$ {line}\nexit code {code:?}, signal {signal:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n--- files\n{tree}"
        )
    }
}
