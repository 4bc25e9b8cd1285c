//! Lexes a shell script far enough to know in which quotes each placeholder is, and writes the script that the shell
//! gets: placeholders outside of quotes become quoted parameters, doubled ones their text.
//!
//! It knows quotes, comments, words and where `$(...)` and plain `${...}`, `$((...))` and backticks end, as POSIX (Shell
//! Command Language, 2.2 and 2.3), dash, bash and busybox agree on them. A placeholder is not allowed in any of these, nor
//! after `<<` or after anything unknown: a clear error is better than a parameter in the wrong place.

use memchr::memmem;

use super::error::TokenPlace::{
    self, Arithmetic, Backticks, Changed, Code, Dollar, DoubleQuotes, HereDocument, Parameter, SingleQuotes,
    Substitution, Unclear,
};
use super::error::{At, TemplateError, readable};
use super::hazard;
use super::placeholder::{self, FoundPlaceholder, Token, Vocabulary};
use super::word::{ShellCommand, ShellWord, is_of_name};

/// The deepest nesting of quotes and expansions that is followed.
const DEEPEST: usize = 50;

/// What a script becomes.
#[derive(Debug, Default)]
pub(super) struct Lexed {
    /// The text for the shell. In it `{}` is `$1`.
    pub(super) script: Vec<u8>,
    /// The other placeholders, `$2`, `$3`, ..., each once, in the order of their first use.
    pub(super) others: Vec<Token>,
    /// The placeholders of each word that has any, in their order.
    pub(super) tokens: Vec<Vec<Token>>,
}

/// Why a script is not read on.
enum Stop {
    Refused(TemplateError),
    /// What follows can't be judged, and has no placeholder.
    Free,
}

type Result<T = (), E = Stop> = std::result::Result<T, E>;

#[derive(Default)]
struct Lexer<'a> {
    source: &'a [u8],
    names: Vocabulary,
    at: usize,
    /// How much of the source is in the script already.
    copied: usize,
    command: ShellCommand,
    /// How many quotes and expansions are open.
    depth: usize,
    /// Where the first loop began.
    first_loop: Option<usize>,
    lexed: Lexed,
}

/// Reads a script.
///
/// # Errors
/// A placeholder where it is not allowed; in a script with placeholders, something that is never closed.
pub(super) fn lex(source: &[u8], names: &Vocabulary) -> Result<Lexed, TemplateError> {
    let mut lexer = Lexer { source, names: names.clone(), ..Lexer::default() };
    match lexer.script().or_else(|stop| lexer.take_rest(stop)) {
        Err(Stop::Refused(error)) => Err(error),
        Ok(()) | Err(Stop::Free) => {
            lexer.lexed.script.extend_from_slice(&source[lexer.copied..]);
            Ok(lexer.lexed)
        }
    }
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.source[self.at..]
    }

    fn word(&mut self) -> &mut ShellWord {
        self.command.word.get_or_insert_default()
    }

    /// Adds bytes to the text of the word.
    fn text(&mut self, length: usize) {
        let text = &self.rest()[..length.min(self.rest().len())];
        self.word().text.extend_from_slice(text);
        self.at += text.len();
    }

    fn script(&mut self) -> Result {
        while let Some(byte) = self.next(None)? {
            self.command(byte)?;
        }
        self.end_command()
    }

    /// Reads a part of a command.
    fn command(&mut self, byte: u8) -> Result {
        match (byte, self.rest()) {
            // `&>` redirects in bash.
            (b' ' | b'\t', _) | (_, [b'&', b'>', ..]) => self.end_word().map(|()| self.at += 1)?,
            (b'\n' | b';' | b'|' | b'&' | b')', _) => self.end_command().map(|()| self.at += 1)?,
            (b'#', rest) if self.command.word.is_none() => {
                self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            }
            (b'<' | b'>', _) => self.redirection()?,
            (b'(', _) => self.parenthesis()?,
            (b'\'', _) => self.within(SingleQuotes, 1, b"'")?,
            (b'"', _) => self.within(DoubleQuotes, 1, b"\"")?,
            (b'`', _) => self.within(Backticks, 1, b"`")?,
            (_, [b'$', b'\'', ..]) => return self.refuse_rest(Unclear),
            (b'$', _) => self.dollar()?,
            (_, [b'\\', b'\n', ..]) => match self.source[..self.at].last() {
                None | Some(b' ' | b'\t' | b'\n') => self.at += 2,
                // It may join the two halves of an operator.
                _ => return self.refuse_rest(Unclear),
            },
            (b'\\', _) => {
                self.word().quoted = true;
                self.at += 1;
                self.text(1);
            }
            (b'[', _) if self.word().may_have_subscript() => self.subscript()?,
            _ => self.text(1),
        }
        Ok(())
    }

    /// Reads the `[...]` after a name. bash evaluates its content, including blanks.
    fn subscript(&mut self) -> Result {
        let is_plain = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_!^.,".contains(byte);
        let length = self.rest()[1..].iter().take_while(is_plain).count();
        if self.rest().get(length + 1) != Some(&b']') {
            return self.refuse_rest(Code("["));
        }
        self.text(length + 2);
        Ok(())
    }

    /// Reads a dollar sign and the expansion that it begins, if it does.
    fn dollar(&mut self) -> Result {
        let follows = placeholder::beginning(&self.rest()[1..], &self.names);
        if let Some(FoundPlaceholder::Token(_, text)) = follows {
            return self.misplaced(text, self.at + 1, Dollar);
        }
        self.word().expands = true;
        match self.rest() {
            _ if follows.is_some() => self.text(1),
            [_, b'(', b'(', ..] => self.within(Arithmetic, 3, b"))")?,
            [_, b'{', ..] => self.within(Parameter, 2, b"}")?,
            [_, b'(', ..] => self.within(Substitution, 2, b")")?,
            [_, b'[', ..] => return self.refuse_rest(Code("$[")),
            [_, b'\\', b'\n', ..] => return self.refuse_rest(Unclear),
            [_, b'$', ..] => self.text(2),
            _ => self.text(1),
        }
        Ok(())
    }

    /// Reads what the next bytes open, to its `end`.
    fn within(&mut self, place: TokenPlace, opening: usize, end: &[u8]) -> Result {
        if self.depth == DEEPEST {
            return self.refuse_rest(place);
        }
        let start = self.at;
        let outer = (place == Substitution).then(|| std::mem::take(&mut self.command));
        match place {
            Substitution => {}
            SingleQuotes | DoubleQuotes => self.word().quoted = true,
            _ => self.word().expands = true,
        }
        self.at += opening;
        self.depth += 1;
        while let Some(byte) = self.next(Some((place, start)))? {
            if self.rest().starts_with(end) {
                self.at += end.len();
                break;
            }
            match (place, byte) {
                (Substitution, _) => self.command(byte)?,
                (DoubleQuotes, b'$') => self.dollar()?,
                (DoubleQuotes, b'`') => self.within(Backticks, 1, b"`")?,
                (DoubleQuotes, b'\\') => self.text(2),
                (Backticks, b'"') => self.within(Backticks, 1, b"\"")?,
                (Arithmetic, b'(') => self.within(Arithmetic, 1, b")")?,
                _ if is_plain(place, self.rest()) => self.text(1),
                _ => return self.refuse_rest(Unclear),
            }
        }
        self.depth -= 1;
        if let Some(outer) = outer {
            self.end_command()?;
            self.command = outer;
        }
        Ok(())
    }

    fn redirection(&mut self) -> Result {
        self.command.word.take_if(|word| word.is_descriptor());
        self.end_word()?;
        self.command.is_redirected = true;
        self.at += match self.rest() {
            [b'<', b'<', ..] => return self.refuse_rest(HereDocument),
            [_, b'(', ..] => return self.refuse_rest(Unclear),
            [_, b'&', descriptor @ ..] if ends_after_descriptor(descriptor) => 2,
            [_, b'|', ..] => 2,
            [_, b'&', ..] => return self.refuse_rest(Code(">& or <&")),
            _ => 1,
        };
        Ok(())
    }

    fn parenthesis(&mut self) -> Result {
        let within = self.rest()[1..].iter().find(|byte| !b" \t\n\\".contains(byte));
        match (within, self.rest()) {
            (Some(b')'), _) => self.refuse_rest(Changed("a function definition")),
            (_, [_, b'(', ..]) => self.refuse_rest(Code("((")),
            _ if self.command.word.is_some() => self.refuse_rest(Unclear),
            // Its end is not that of the substitution.
            _ if self.depth > 0 => self.end_command().and_then(|()| self.within(Substitution, 1, b")")),
            _ => self.end_command().map(|()| self.at += 1),
        }
    }

    fn end_word(&mut self) -> Result {
        let Some(word) = self.command.word.take() else { return Ok(()) };
        match word.plain() {
            b"case" if self.depth > 0 => return self.refuse_rest(Unclear),
            b"function" if hazard::program(&self.command.words).is_none() => {
                return self.refuse_rest(Changed("a function definition"));
            }
            b"for" | b"while" | b"until" => _ = self.first_loop.get_or_insert(self.at),
            b"[[" => return self.refuse_rest(Code("[")),
            _ => {}
        }
        if !std::mem::take(&mut self.command.is_redirected) {
            self.command.words.push(word);
        }
        Ok(())
    }

    fn end_command(&mut self) -> Result {
        self.end_word()?;
        match hazard::changes_parameters(&std::mem::take(&mut self.command).words) {
            // In a loop, earlier text comes after it as well.
            Some(what) => self.refuse_from(self.first_loop.unwrap_or(self.at), Changed(what)),
            None => Ok(()),
        }
    }

    fn refuse_rest<T>(&self, place: TokenPlace) -> Result<T> {
        self.refuse_from(self.at, place)
    }

    /// Stops: where a placeholder follows, even in what seems to be a comment, with an error.
    fn refuse_from<T>(&self, mut at: usize, place: TokenPlace) -> Result<T> {
        while at < self.source.len() {
            at += match placeholder::beginning(&self.source[at..], &self.names) {
                Some(FoundPlaceholder::Token(_, text)) => {
                    let shown = if place == Unclear { self.at } else { at };
                    return self.misplaced(text, shown, place);
                }
                found => found.map_or(1, |found| found.len()),
            };
        }
        Err(Stop::Free)
    }

    /// `text` is the placeholder as it is written.
    fn misplaced<T>(&self, text: &[u8], at: usize, place: TokenPlace) -> Result<T> {
        let at = At::new(self.source, at, at + text.len());
        Err(Stop::Refused(TemplateError::Misplaced { token: readable(text), place, at }))
    }

    /// The byte to go on with, after placeholders and doubled ones, which are replaced. Where something is open, neither a
    /// placeholder nor the end of a script with placeholders may come.
    fn next(&mut self, open: Option<(TokenPlace, usize)>) -> Result<Option<u8>> {
        loop {
            match (placeholder::beginning(self.rest(), &self.names), open) {
                (Some(FoundPlaceholder::Token(token, text)), None) => self.token(token, text)?,
                (Some(FoundPlaceholder::Token(_, text)), Some((place, _))) => {
                    return self.misplaced(text, self.at, place);
                }
                // Its braces may end the parameter.
                (Some(_), Some((Parameter, _))) => return self.refuse_rest(Unclear),
                (Some(found @ FoundPlaceholder::Text(text)), _) => {
                    self.word().text.extend_from_slice(text);
                    self.replace(text, found.len());
                }
                (None, Some((place, at))) if self.rest().is_empty() && !self.lexed.tokens.is_empty() => {
                    let at = At::new(self.source, at, at + 24);
                    return Err(Stop::Refused(TemplateError::Unterminated { place, at }));
                }
                (None, _) => return Ok(self.rest().first().copied()),
            }
        }
    }

    /// Replaces a placeholder that is outside of quotes and expansions.
    fn token(&mut self, token: Token, text: &[u8]) -> Result {
        if let Some(place) = hazard::reads_next(&self.command) {
            return self.misplaced(text, self.at, place);
        }
        let word = self.word();
        (word.quoted, word.expands) = (true, true);
        let is_first = !std::mem::replace(&mut word.has_token, true);
        match self.lexed.tokens.last_mut().filter(|_| !is_first) {
            Some(tokens) => tokens.push(token),
            None => self.lexed.tokens.push(vec![token]),
        }
        let others = &mut self.lexed.others;
        if token != Token::Path && !others.contains(&token) {
            others.push(token);
        }
        let number = others.iter().position(|other| *other == token).map_or(1, |place| place + 2);
        self.replace(format!("\"${{{number}}}\"").as_bytes(), text.len());
        Ok(())
    }

    fn replace(&mut self, text: &[u8], length: usize) {
        self.lexed.script.extend_from_slice(&self.source[self.copied..self.at]);
        self.lexed.script.extend_from_slice(text);
        self.at += length;
        self.copied = self.at;
    }

    /// Takes what has no placeholders but doubled ones, whatever it says.
    fn take_rest(&mut self, stop: Stop) -> Result {
        let Stop::Free = stop else { return Err(stop) };
        let rest = self.rest();
        while !self.rest().is_empty() {
            match placeholder::beginning(self.rest(), &self.names) {
                Some(found @ FoundPlaceholder::Text(text)) => self.replace(text, found.len()),
                _ => self.at += 1,
            }
        }
        match self.first_loop {
            Some(at) if has_word(rest, b"shift") || has_word(rest, b"set") => {
                self.refuse_from(at, Changed("`shift` or `set`"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a text begins with `-` or a number, as it follows `>&`, and with no more of a word. Shells differ in whether they
/// take the more for a word of its own.
fn ends_after_descriptor(text: &[u8]) -> bool {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let length = if text.starts_with(b"-") { 1 } else { digits };
    length > 0 && text.get(length).is_none_or(|byte| b" \t\n;|&()<>".contains(byte))
}

/// Whether a word stands in a text, and not only as a part of another.
fn has_word(text: &[u8], word: &[u8]) -> bool {
    let is_outside = |byte: Option<&u8>| !byte.is_some_and(|byte| is_of_name(*byte));
    memmem::find_iter(text, word)
        .any(|at| is_outside(text[..at].last()) && is_outside(text.get(at + word.len())))
}

/// Whether the next byte means nothing in quotes or an expansion: with any other, shells look for its end in different ways.
fn is_plain(place: TokenPlace, rest: &[u8]) -> bool {
    let others: &[u8] = match place {
        SingleQuotes | DoubleQuotes => return true,
        Parameter => b"_$#%/:-+=?*@.,^!~[]",
        Arithmetic => b"_ +-*/%<>=!&|^~?:,.$",
        _ => b"_ \t\n+-*/%<>=!&|^~?:,.;@[]$",
    };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || others.contains(byte);
    rest.first().is_some_and(is_plain) && !rest.starts_with(b"<<")
}
