//! Reads a shell script far enough to know, for each byte, what it stands in, and writes the script that the shell
//! gets: placeholders outside of quotes become quoted parameters, doubled ones their text.
//!
//! It knows quotes, comments, words and where `$(...)`, backticks, `${...}` and `$((...))` end, as POSIX (Shell Command
//! Language, 2.2 and 2.3), dash, bash and busybox agree on them. A placeholder stands in none of these, and nowhere
//! after `<<` or after what this doesn't know: a clear error is better than a parameter in the wrong place.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::error::{At, TemplateError, TokenPlace, readable};
use super::hazard;
use super::placeholder::{self, FoundPlaceholder, OutNames, Token};
use super::word::{ShellCommand, ShellWord, WordRole};

type Result<T = ()> = std::result::Result<T, TemplateError>;

/// What a script becomes.
#[derive(Debug, Default)]
pub(super) struct Lexed {
    /// The text for the shell.
    pub(super) script: Vec<u8>,
    /// The placeholders in it, each once, in the order of their first use: `{}` is `$1`, the others are `$2`, `$3`, ...
    pub(super) tokens: Vec<Token>,
    /// The words that say by themselves what they are.
    pub(super) words: Vec<OsString>,
    /// The placeholders of each word that has any.
    pub(super) words_of_tokens: Vec<Vec<Token>>,
}

/// Something that is open, and where it was opened.
#[derive(Debug)]
struct Opened {
    place: TokenPlace,
    at: usize,
    /// The command around, if commands are open.
    outer: Option<ShellCommand>,
}

/// The state of reading one script.
#[derive(Debug, Default)]
struct Lexer<'a> {
    source: &'a [u8],
    outs: OutNames,
    at: usize,
    copied: usize,
    /// What is open, the innermost last.
    open: Vec<Opened>,
    command: ShellCommand,
    /// Whether the rest is known to be without placeholders, and may not be understood.
    rest_has_none: bool,
    in_loop: bool,
    /// The last placeholder in a loop, as it is written, and where.
    last_in_loop: Option<(&'a [u8], usize)>,
    lexed: Lexed,
}

/// Reads a script.
///
/// # Errors
/// A placeholder in a place where it can't stand; in a script with placeholders, something that is never closed.
pub(super) fn lex(source: &[u8], outs: &OutNames) -> Result<Lexed> {
    let mut lexer = Lexer { source, outs: outs.clone(), ..Lexer::default() };
    while let Some(byte) = lexer.rest().first() {
        if !lexer.placeholder()? {
            lexer.step(*byte)?;
        }
    }
    lexer.end_command()?;
    let mut lexed = lexer.lexed;
    if let Some(&Opened { place, at, .. }) = lexer.open.last()
        && !lexed.tokens.is_empty()
        && !lexer.rest_has_none
    {
        return Err(TemplateError::Unterminated { place, at: At::new(source, at, at + 24) });
    }
    lexed.script.extend_from_slice(&source[lexer.copied..]);
    Ok(lexed)
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a [u8] {
        self.source.get(self.at..).unwrap_or_default()
    }

    /// What is open, if anything.
    fn inside(&self) -> Option<TokenPlace> {
        self.open.last().map(|opened| opened.place)
    }

    fn word(&mut self) -> &mut ShellWord {
        self.command.word.get_or_insert_default()
    }

    /// Reads what begins with `byte`, which is no placeholder.
    fn step(&mut self, byte: u8) -> Result {
        use TokenPlace::{Arithmetic, Backticks, DoubleQuotes, Parameter, SingleQuotes};
        if self.is_in_backticks() && b"\\#(){}".contains(&byte) {
            self.unclear()?;
        }
        match (self.inside(), byte) {
            (Some(SingleQuotes), b'\'')
            | (Some(DoubleQuotes), b'"')
            | (Some(Backticks), b'`')
            | (Some(Parameter), b'}') => return self.close(),
            (Some(Parameter), _) => return self.plain(byte, b"_$#%/:-+=?*@.,^!~[]"),
            (Some(SingleQuotes), _) => self.text(1),
            (_, b'$') => return self.dollar(),
            (_, b'`') => return self.enter(Backticks, 1),
            (Some(DoubleQuotes), b'\\') => self.text(2),
            (Some(DoubleQuotes), _) => self.text(1),
            (Some(Arithmetic), _) => return self.arithmetic(byte),
            _ => return self.command_part(byte),
        }
        Ok(())
    }

    /// Reads what belongs to commands.
    fn command_part(&mut self, byte: u8) -> Result {
        match byte {
            b'\n' | b';' | b'|' | b'&' if !self.rest().starts_with(b"&>") => {
                self.end_command()?;
                self.at += 1;
            }
            // `&>` redirects in bash.
            b' ' | b'\t' | b'&' => {
                self.end_word()?;
                self.at += 1;
            }
            b'#' if self.command.word.is_none() && !self.rest_has_none => {
                self.at += memchr::memchr(b'\n', self.rest()).unwrap_or(self.rest().len());
            }
            b'<' | b'>' => return self.redirection(),
            b'(' => return self.parenthesis(),
            b')' => return self.closing_parenthesis(),
            b'\'' => return self.enter(TokenPlace::SingleQuotes, 1),
            b'"' => return self.enter(TokenPlace::DoubleQuotes, 1),
            b'\\' if self.rest().starts_with(b"\\\n") => {
                // It may join the two halves of an operator.
                if !self.source[..self.at].last().is_none_or(|before| b" \t\n".contains(before)) {
                    self.unclear()?;
                }
                self.at += 2;
            }
            b'\\' => {
                self.word().quoted = true;
                self.at += 1;
                self.text(1);
            }
            b'[' => {
                let word = self.word();
                let name = word.text.strip_prefix(b"{").unwrap_or(&word.text);
                let is_name = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
                word.subscript |= is_name && !name.is_empty();
                self.text(1);
            }
            _ => self.text(1),
        }
        Ok(())
    }

    /// Takes bytes as text of the word.
    fn text(&mut self, length: usize) {
        let text = &self.rest()[..length.min(self.rest().len())];
        self.word().text.extend_from_slice(text);
        self.at += text.len();
    }

    /// Takes a byte that is a letter, a digit or among `others`; with another, the end of what is open is unclear.
    fn plain(&mut self, byte: u8, others: &[u8]) -> Result {
        if !byte.is_ascii_alphanumeric() && !others.contains(&byte) {
            self.unclear()?;
        }
        self.text(1);
        Ok(())
    }

    /// Reads a dollar sign and opens the expansion that it begins, if it does.
    fn dollar(&mut self) -> Result {
        self.word().expands = true;
        let follows = placeholder::beginning(&self.rest()[1..], &self.outs);
        if let Some(FoundPlaceholder::Token(_, text)) = follows {
            return Err(self.misplaced(text, self.at + 1, TokenPlace::Dollar));
        }
        let mut length = 1;
        match self.rest() {
            _ if follows.is_some() => {}
            [_, b'(', b'(', ..] => return self.enter(TokenPlace::Arithmetic, 3),
            [_, b'(', ..] => return self.enter(TokenPlace::Substitution, 2),
            [_, b'{', ..] => return self.enter(TokenPlace::Parameter, 2),
            [_, b'[', ..] => self.refuse_rest(TokenPlace::Code("$["))?,
            [_, b'\\', b'\n', ..] => self.unclear()?,
            [_, b'\'', ..] if self.inside() != Some(TokenPlace::DoubleQuotes) => self.unclear()?,
            [_, b'@' | b'*' | b'#' | b'?' | b'-' | b'$' | b'!' | b'0'..=b'9', ..] => length = 2,
            _ => {}
        }
        self.text(length);
        Ok(())
    }

    /// Reads a part of `$((...))`, which ends at the `))` that matches in every shell, or is not understood.
    fn arithmetic(&mut self, byte: u8) -> Result {
        match byte {
            b'(' => self.enter(TokenPlace::Arithmetic, 1),
            b')' => {
                let is_outermost = self.open.last().is_some_and(|opened| self.source[opened.at] == b'$');
                if is_outermost && !self.rest().starts_with(b"))") {
                    self.unclear()?;
                }
                self.at += usize::from(is_outermost);
                self.close()
            }
            _ => self.plain(byte, b"_ +-*/%<>=!&|^~?:,."),
        }
    }

    fn redirection(&mut self) -> Result {
        self.command.word.take_if(|word| word.is_descriptor());
        self.end_word()?;
        match self.rest() {
            [b'<', b'<', ..] => self.refuse_rest(TokenPlace::HereDocument)?,
            [_, b'(', ..] => self.unclear()?,
            _ => {}
        }
        let second = self.rest().get(1);
        self.command.role = if second == Some(&b'&') { WordRole::Descriptor } else { WordRole::File };
        self.at += 1 + usize::from(matches!(second, Some(b'&' | b'|')));
        Ok(())
    }

    fn parenthesis(&mut self) -> Result {
        if self.rest().starts_with(b"((") {
            self.refuse_rest(TokenPlace::Code("(("))?;
        } else if self.command.word.is_some() && !self.rest().starts_with(b"()") {
            self.unclear()?;
        }
        self.end_command()?;
        if self.inside() == Some(TokenPlace::Substitution) {
            let outer = Some(ShellCommand::default());
            self.open.push(Opened { place: TokenPlace::Substitution, at: self.at, outer });
        }
        self.at += 1;
        self.command.follows_parenthesis = true;
        Ok(())
    }

    fn closing_parenthesis(&mut self) -> Result {
        self.end_word()?;
        if self.command.follows_parenthesis && self.command.words.is_empty() {
            self.refuse_rest(TokenPlace::Changed("a function definition"))?;
        }
        if self.inside() == Some(TokenPlace::Substitution) {
            return self.close();
        }
        self.end_command()?;
        self.at += 1;
        Ok(())
    }

    /// Opens something.
    fn enter(&mut self, place: TokenPlace, length: usize) -> Result {
        if self.is_in_backticks() && place != TokenPlace::DoubleQuotes {
            self.unclear()?;
        }
        let has_commands = matches!(place, TokenPlace::Substitution | TokenPlace::Backticks);
        let is_quote = matches!(place, TokenPlace::SingleQuotes | TokenPlace::DoubleQuotes);
        let word = self.word();
        word.quoted |= is_quote;
        word.expands |= !is_quote;
        let outer = has_commands.then(|| std::mem::take(&mut self.command));
        self.open.push(Opened { place, at: self.at, outer });
        self.at += length;
        Ok(())
    }

    /// Closes the innermost.
    fn close(&mut self) -> Result {
        self.at += 1;
        if let Some(Opened { outer: Some(outer), .. }) = self.open.pop() {
            self.end_command()?;
            self.command = outer;
        }
        Ok(())
    }

    /// Whether this is text of backticks, of which shells look for the end in different ways.
    fn is_in_backticks(&self) -> bool {
        self.open.iter().rev().take(2).any(|opened| opened.place == TokenPlace::Backticks)
    }

    fn end_word(&mut self) -> Result {
        let Some(word) = self.command.word.take() else { return Ok(()) };
        if word.is_in_subscript() || word.says("[[") {
            self.refuse_rest(TokenPlace::Code("["))?;
        }
        if word.is_plain("case") && !self.open.is_empty() {
            self.unclear()?;
        }
        if word.is_plain("function") && hazard::program(&self.command.words).is_none() {
            self.refuse_rest(TokenPlace::Changed("a function definition"))?;
        }
        self.in_loop |= ["for", "while", "until", "do"].iter().any(|reserved| word.is_plain(reserved));
        if !word.tokens.is_empty() {
            self.lexed.words_of_tokens.push(word.tokens.clone());
        }
        if !word.expands && !word.text.is_empty() {
            self.lexed.words.push(OsString::from_vec(word.text.clone()));
        }
        if std::mem::take(&mut self.command.role) == WordRole::Argument {
            self.command.words.push(word);
        }
        Ok(())
    }

    fn end_command(&mut self) -> Result {
        self.end_word()?;
        let command = std::mem::take(&mut self.command);
        match (hazard::changes_parameters(&command.words), self.last_in_loop) {
            (None, _) => Ok(()),
            (Some(place), Some((text, at))) => Err(self.misplaced(text, at, place)),
            (Some(place), None) => self.refuse_rest(place),
        }
    }

    /// Notes that what follows can't be judged.
    fn unclear(&mut self) -> Result {
        self.refuse_rest(TokenPlace::Unclear)
    }

    /// Makes sure that no placeholder follows, not even in what seems to be a comment.
    fn refuse_rest(&mut self, place: TokenPlace) -> Result {
        let mut at = self.at;
        while let Some(rest) = self.source.get(at..).filter(|rest| !rest.is_empty() && !self.rest_has_none) {
            match placeholder::beginning(rest, &self.outs) {
                Some(FoundPlaceholder::Token(_, text)) => {
                    let shown = if place == TokenPlace::Unclear { self.at } else { at };
                    return Err(self.misplaced(text, shown, place));
                }
                Some(found @ FoundPlaceholder::Text(_)) => at += found.len(),
                None => at += 1,
            }
        }
        self.rest_has_none = true;
        Ok(())
    }

    /// `text` is the placeholder as it is written.
    fn misplaced(&self, text: &[u8], at: usize, place: TokenPlace) -> TemplateError {
        let at = At::new(self.source, at, at + text.len());
        TemplateError::Misplaced { token: readable(text), place, at }
    }

    /// Replaces the placeholder or doubled placeholder that begins here, if one does.
    fn placeholder(&mut self) -> Result<bool> {
        let (token, text) = match placeholder::beginning(self.rest(), &self.outs) {
            None => return Ok(false),
            Some(FoundPlaceholder::Token(token, text)) => (token, text),
            Some(found @ FoundPlaceholder::Text(text)) => {
                if self.inside() == Some(TokenPlace::Parameter) {
                    self.unclear()?;
                }
                self.word().text.extend_from_slice(text);
                self.replace(text, found.len());
                return Ok(true);
            }
        };
        if let Some(place) = self.inside().or_else(|| hazard::reads_next(&self.command)) {
            return Err(self.misplaced(text, self.at, place));
        }
        if self.in_loop {
            self.last_in_loop = Some((text, self.at));
        }
        let word = self.word();
        (word.quoted, word.expands, word.subscript) = (true, true, false);
        word.tokens.push(token);
        let number = self.number(token);
        self.replace(format!("\"${{{number}}}\"").as_bytes(), text.len());
        Ok(true)
    }

    /// Which positional parameter stands for a token.
    fn number(&mut self, token: Token) -> usize {
        let tokens = &mut self.lexed.tokens;
        if !tokens.contains(&token) {
            tokens.push(token);
        }
        let before = tokens.iter().take_while(|used| **used != token).filter(|used| **used != Token::Path);
        if token == Token::Path { 1 } else { 2 + before.count() }
    }

    fn replace(&mut self, text: &[u8], length: usize) {
        self.lexed.script.extend_from_slice(&self.source[self.copied..self.at]);
        self.lexed.script.extend_from_slice(text);
        self.at += length;
        self.copied = self.at;
    }
}
