//! An option as a layer below the command line gives it: words to put in front of the typed arguments.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Variables of this prefix give options.
pub(super) const PREFIX: &str = "CANFAR_RUN_";

/// Not an option, but as replaceable as one.
pub(super) const COMMAND: &str = "command";

/// One option from a weaker layer, and how to speak of it.
pub(super) struct OptionItem {
    pub(super) name: String,
    pub(super) tokens: Vec<OsString>,
    /// The value as written there.
    pub(super) origin: String,
}

impl OptionItem {
    /// Of a switch, as the parser reads it.
    pub(super) fn is_on(&self) -> bool {
        self.tokens
            .iter()
            .any(|token| token.as_bytes().ends_with(b"=true") || token.as_bytes().ends_with(b"=1"))
    }
}

/// `--name=value`, which no value can escape from.
pub(super) fn token(name: &str, value: &OsStr) -> OsString {
    let mut token = OsString::from(format!("--{name}="));
    token.push(value);
    token
}
