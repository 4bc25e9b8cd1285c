//! The words of a shell command as the lexer collects them: their text without quotes.

/// A word of a command, or the part that was read so far.
#[derive(Debug, Default)]
pub(super) struct ShellWord {
    /// The text of the word after quote removal. Expansions are kept as written, placeholders are not.
    pub(super) text: Vec<u8>,
    /// Whether any of it was quoted, so that it is not a reserved word.
    pub(super) quoted: bool,
    /// Whether the shell expands something in it, so that `text` is not its final value.
    pub(super) expands: bool,
    /// Whether a placeholder is in it.
    pub(super) has_token: bool,
}

/// A simple command, or as much of a longer one as stands between two operators.
#[derive(Debug, Default)]
pub(super) struct ShellCommand {
    /// The words that are complete, without redirections.
    pub(super) words: Vec<ShellWord>,
    /// The word being read.
    pub(super) word: Option<ShellWord>,
    /// Whether that word, or the next one, is the file of a redirection.
    pub(super) is_redirected: bool,
}

impl ShellWord {
    /// The value of the word; `None` if the shell expands something in it.
    pub(super) fn says(&self) -> &[u8] {
        if self.expands { b"" } else { &self.text }
    }

    /// Its text if it is not quoted, like reserved words.
    pub(super) fn plain(&self) -> &[u8] {
        if self.quoted { b"" } else { self.says() }
    }

    /// Whether this is what may stand directly before `>`, as in `2>` and `{a}>`.
    pub(super) fn is_descriptor(&self) -> bool {
        let plain = self.plain();
        plain.starts_with(b"{") || !plain.is_empty() && plain.iter().all(u8::is_ascii_digit)
    }

    /// The name that the text begins with, and the rest, if both are there.
    pub(super) fn after_name(&self) -> Option<(&[u8], &[u8])> {
        let end = self.text.iter().position(|byte| !is_of_name(*byte))?;
        Some(self.text.split_at(end))
            .filter(|(name, _)| name.first().is_some_and(|first| !first.is_ascii_digit()))
    }

    /// Whether a `[` that comes next, outside of quotes, may begin a subscript as in `a[` and `{a[`.
    pub(super) fn may_have_subscript(&self) -> bool {
        let name = self.text.strip_prefix(b"{").unwrap_or(&self.text);
        !name.is_empty() && name.iter().copied().all(is_of_name)
    }
}

/// Whether it may stand in a name of a variable or function.
pub(super) fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
