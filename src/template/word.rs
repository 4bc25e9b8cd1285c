//! The words of a shell command as the lexer collects them: what they say without quotes and expansions.

use super::placeholder::Token;

/// A word of a command, or as much of it as was read.
#[derive(Debug, Default)]
pub(super) struct ShellWord {
    /// What the word says after quote removal. Expansions stand in it as they are written, placeholders do not.
    pub(super) text: Vec<u8>,
    /// Whether any of it was quoted, so that it is no reserved word.
    pub(super) quoted: bool,
    /// Whether the shell puts something in, so that `text` is not what the word says.
    pub(super) expands: bool,
    /// Whether it begins as `a[` does, outside of quotes: bash computes what follows.
    pub(super) subscript: bool,
    /// The placeholders in it, in their order.
    pub(super) tokens: Vec<Token>,
}

/// A simple command, or as much of a longer one as stands between two operators.
#[derive(Debug, Default)]
pub(super) struct ShellCommand {
    /// The words that are complete, without redirections.
    pub(super) words: Vec<ShellWord>,
    /// The word being read.
    pub(super) word: Option<ShellWord>,
    /// What that word is for, or the next one.
    pub(super) role: WordRole,
    /// Whether it is the first after a `(`.
    pub(super) follows_parenthesis: bool,
}

/// What a word is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum WordRole {
    /// The command.
    #[default]
    Argument,
    /// The file of `<` or `>`.
    File,
    /// What follows `<&` or `>&`.
    Descriptor,
}

impl ShellWord {
    /// Whether the word is exactly this, unquoted.
    pub(super) fn is_plain(&self, text: &str) -> bool {
        !self.quoted && self.says(text)
    }

    /// Whether the word is exactly this, quoted or not.
    pub(super) fn says(&self, text: &str) -> bool {
        !self.expands && self.text == text.as_bytes()
    }

    /// Whether this is what may stand directly before `>`, as in `2>` and `{a}>`.
    pub(super) fn is_descriptor(&self) -> bool {
        let is_number = self.text.iter().all(u8::is_ascii_digit);
        !self.quoted && !self.expands && (is_number || self.text.starts_with(b"{"))
    }

    /// The name that the text begins with, and the rest, if both are there.
    pub(super) fn after_name(&self) -> Option<(&[u8], &[u8])> {
        let end = self.text.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')?;
        Some(self.text.split_at(end))
            .filter(|(name, _)| name.first().is_some_and(|first| !first.is_ascii_digit()))
    }

    /// Whether what comes next may be within `a[...]`. Only plain text up to the `]` says that it is not.
    pub(super) fn is_in_subscript(&self) -> bool {
        let count = |bracket| memchr::memchr_iter(bracket, &self.text).count();
        self.subscript && (self.quoted || self.expands || count(b'[') > count(b']'))
    }
}
