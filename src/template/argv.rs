//! The template itself: words with placeholders, made from an argument list, rendered for a task.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::error::{TemplateError, readable};
use super::hazard::is_shell;
use super::placeholder::{self, FoundPlaceholder, TaskPlace, Token, Vocabulary, outs_in};

/// A command, parsed once and rendered for every task.
#[derive(Debug, Clone)]
pub struct Template {
    pub(super) argv: Vec<ArgvWord>,
    pub(super) literal: Vec<OsString>,
    /// The placeholders of each word that has any, in their order.
    pub(super) tokens: Vec<Vec<Token>>,
}

/// One argument.
#[derive(Debug, Clone)]
pub(super) enum ArgvWord {
    Literal(OsString),
    Pieces(Vec<ArgvPiece>),
}

#[derive(Debug, Clone)]
pub(super) enum ArgvPiece {
    Text(Vec<u8>),
    Token(Token),
}

impl Template {
    /// Reads an argument list, the program first. Only the exact tokens of [`Token`] are placeholders, those of products as
    /// far as `names` has them, and columns, anywhere in a word and several per word; a doubled one (`{{}}`) is that token as text. Unless
    /// one of them is about the file that is to be read, or entries are no files, the path is appended as the last argument. Empty arguments are legal
    /// except for the program.
    ///
    /// A placeholder inside a script for another program (`sh -c 'wc {}'`, `python -c ...`) is replaced like any
    /// other, and the name then becomes part of that script: `--shell` and `sh -c 'wc "$1"' sh {}` don't do that.
    ///
    /// # Errors
    /// No words; a NUL byte; a program that is empty or begins or ends with a quote, as left behind when a launcher
    /// a launch took apart; a product that is not declared; `{rel}` where entries are no files.
    pub fn from_argv(words: &[OsString], names: &Vocabulary) -> Result<Template, TemplateError> {
        let mut argv = parse(words, names)?;
        if names.appends_path() && !argv.iter().flat_map(ArgvWord::tokens).any(Token::is_of_input) {
            argv.push(ArgvWord::from(Token::Path));
        }
        Ok(Template::from_words(argv))
    }

    /// Reads the argument list of a worker, which is started before it is given files: nothing is appended.
    ///
    /// # Errors
    /// Those of [`Template::from_argv`]; a placeholder that stands for something of a file.
    pub fn of_worker(words: &[OsString], names: &Vocabulary) -> Result<Template, TemplateError> {
        let argv = parse(words, names)?;
        let of_a_file = argv.iter().flat_map(ArgvWord::tokens).find(|token| token.is_of_a_file());
        match of_a_file {
            Some(token) => Err(TemplateError::FileOfWorker { token: names.written(token) }),
            None => Ok(Template::from_words(argv)),
        }
    }

    pub(super) fn from_words(argv: Vec<ArgvWord>) -> Template {
        let literal = argv.iter().filter_map(ArgvWord::literal).map(OsStr::to_os_string).collect();
        let tokens =
            argv.iter().map(|word| word.tokens().collect()).filter(|tokens: &Vec<_>| !tokens.is_empty());
        Template { tokens: tokens.collect(), argv, literal }
    }

    /// The argument list for one task, the program first.
    pub fn render(&self, place: &TaskPlace) -> Vec<OsString> {
        self.argv.iter().map(|word| word.render(place)).collect()
    }

    /// The argument list of a worker, the program first.
    pub fn render_for_worker(&self, slot: usize, replica: u32) -> Vec<OsString> {
        self.render(&TaskPlace::of_slot(slot, replica))
    }

    /// The program, unless a placeholder is part of it: then it can be looked for before the first task starts.
    pub fn program(&self) -> Option<&OsStr> {
        self.argv.first().and_then(ArgvWord::literal)
    }

    /// Whether a placeholder is in it.
    pub fn uses(&self, token: Token) -> bool {
        self.argv.iter().flat_map(ArgvWord::tokens).any(|used| used == token)
    }

    /// The placeholders of each word of the command that has any, in their order; of a shell command too, where they are known.
    pub fn words_of_tokens(&self) -> impl Iterator<Item = &[Token]> {
        self.tokens.iter().map(Vec::as_slice)
    }

    /// Whether a shell is started with a script that has a placeholder in it (`sh -c 'wc {}'`): the name of a file then
    /// becomes shell code. Not refused, since arguments are passed on as they are, but worth a warning.
    pub fn puts_names_into_shell_code(&self) -> bool {
        let is_shell = self.program().is_some_and(is_shell);
        let is_option =
            |word: &&ArgvWord| word.literal().is_some_and(|word| word.as_bytes().starts_with(b"-"));
        let options = self.argv.iter().skip(1).take_while(is_option);
        let reads_script =
            options.clone().filter_map(ArgvWord::literal).any(|option| option.as_bytes().ends_with(b"c"));
        let script = self.argv.get(1 + options.count());
        is_shell && reads_script && matches!(script, Some(ArgvWord::Pieces(_)))
    }

    /// The words of the command that have no placeholder in them, in order, so that files it names can be found
    /// (`analyze.py`). For `--shell` the words of the script, as far as they say by themselves what they are.
    pub fn words(&self) -> &[OsString] {
        &self.literal
    }
}

/// The path of a product: a single word, rendered for each task.
#[derive(Debug, Clone)]
pub struct PathTemplate(ArgvWord);

impl PathTemplate {
    /// Reads a path with placeholders, and the columns that can be named.
    ///
    /// # Errors
    /// When it can't be the name of a file, or has a placeholder that is not of the task alone.
    pub fn parse(path: &OsStr, names: &Vocabulary) -> Result<PathTemplate, TemplateError> {
        let bytes = path.as_bytes();
        let refuse = |what| Err(TemplateError::Product { path: readable(bytes), what });
        if bytes.is_empty() {
            return Err(TemplateError::EmptyProduct);
        }
        if bytes.contains(&0) {
            return refuse("contains a NUL byte, which no path can have: remove it");
        }
        if matches!(bytes.rsplit(|byte| *byte == b'/').next(), Some(b"" | b"." | b"..")) {
            return refuse(
                "does not end with a name: write the file or directory itself, as in cat/{/:}.cat",
            );
        }
        if outs_in(bytes).next().is_some() {
            return refuse("contains {out}, which is derived from this path: remove it");
        }
        let word = ArgvWord::parse(bytes, &names.clone().with_outs([]));
        word.tokens().try_for_each(|token| names.check_token(token))?;
        if !word.tokens().all(Token::is_of_a_file) {
            return refuse(
                "contains {slot} or {replica}: a task may run in any slot and replica, and its product has one place",
            );
        }
        Ok(PathTemplate(word))
    }

    /// The path, where it is the same for all tasks.
    pub fn constant(&self) -> Option<&OsStr> {
        self.0.literal()
    }

    /// Whether a placeholder is in it.
    pub fn uses(&self, token: Token) -> bool {
        self.0.tokens().any(|used| used == token)
    }

    /// The path for one task.
    pub fn render(&self, place: &TaskPlace) -> OsString {
        self.0.render(place)
    }
}

/// The value of a variable of tasks (`[env]`): one word, rendered for each of them.
#[derive(Debug, Clone)]
pub struct ValueTemplate(ArgvWord);

impl ValueTemplate {
    /// Reads a value. With `stays`, it is that of a process which is started before it is given tasks.
    ///
    /// # Errors
    /// When it has a placeholder of what the process or its tasks do not have.
    pub fn parse(value: &OsStr, names: &Vocabulary, stays: bool) -> Result<ValueTemplate, TemplateError> {
        let word = ArgvWord::parse(value.as_bytes(), &names.clone().with_outs([]));
        word.tokens().try_for_each(|token| names.check_token(token))?;
        let of_a_task = word.tokens().find(|token| stays && token.is_of_a_file());
        match of_a_task {
            Some(token) => Err(TemplateError::FileOfWorker { token: names.written(token) }),
            None => Ok(ValueTemplate(word)),
        }
    }

    /// The value, where it is the same for all tasks.
    pub fn constant(&self) -> Option<&OsStr> {
        self.0.literal()
    }

    /// The value for one task.
    pub fn render(&self, place: &TaskPlace) -> OsString {
        self.0.render(place)
    }
}

fn parse(words: &[OsString], names: &Vocabulary) -> Result<Vec<ArgvWord>, TemplateError> {
    let program = words.first().ok_or(TemplateError::NoCommand)?;
    if let Some(place) = words.iter().position(|word| word.as_bytes().contains(&0)) {
        return Err(TemplateError::NulInWord { place: place + 1 });
    }
    check_program(program)?;
    words.iter().try_for_each(|word| names.check(word.as_bytes()))?;
    let argv: Vec<ArgvWord> = words.iter().map(|word| ArgvWord::parse(word.as_bytes(), names)).collect();
    argv.iter().flat_map(ArgvWord::tokens).try_for_each(|token| names.check_token(token))?;
    Ok(argv)
}

fn check_program(program: &OsStr) -> Result<(), TemplateError> {
    match program.as_bytes() {
        [] => Err(TemplateError::EmptyProgram),
        [b'\'' | b'"', ..] | [.., b'\'' | b'"'] => {
            Err(TemplateError::LostQuote { word: readable(program.as_bytes()) })
        }
        _ => Ok(()),
    }
}

impl ArgvWord {
    pub(super) fn parse(word: &[u8], names: &Vocabulary) -> ArgvWord {
        let mut pieces = Vec::new();
        let mut text = Vec::new();
        let mut rest = word;
        while let [first, tail @ ..] = rest {
            let Some(found) = placeholder::beginning(rest, names) else {
                text.push(*first);
                rest = tail;
                continue;
            };
            match found {
                FoundPlaceholder::Text(written) => text.extend_from_slice(written),
                FoundPlaceholder::Token(token, _) => {
                    if !text.is_empty() {
                        pieces.push(ArgvPiece::Text(std::mem::take(&mut text)));
                    }
                    pieces.push(ArgvPiece::Token(token));
                }
            }
            rest = &rest[found.len()..];
        }
        if pieces.is_empty() {
            return ArgvWord::Literal(OsString::from_vec(text));
        }
        if !text.is_empty() {
            pieces.push(ArgvPiece::Text(text));
        }
        ArgvWord::Pieces(pieces)
    }

    pub(super) fn literal(&self) -> Option<&OsStr> {
        match self {
            ArgvWord::Literal(text) => Some(text),
            ArgvWord::Pieces(_) => None,
        }
    }

    fn tokens(&self) -> impl Iterator<Item = Token> {
        let pieces = match self {
            ArgvWord::Literal(_) => &[][..],
            ArgvWord::Pieces(pieces) => pieces,
        };
        pieces.iter().filter_map(|piece| match piece {
            ArgvPiece::Token(token) => Some(*token),
            ArgvPiece::Text(_) => None,
        })
    }

    fn render(&self, place: &TaskPlace) -> OsString {
        let pieces = match self {
            ArgvWord::Literal(text) => return text.clone(),
            ArgvWord::Pieces(pieces) => pieces,
        };
        let mut word = Vec::with_capacity(place.path.len());
        for piece in pieces {
            match piece {
                ArgvPiece::Text(text) => word.extend_from_slice(text),
                ArgvPiece::Token(token) => token.append(place, &mut word),
            }
        }
        OsString::from_vec(word)
    }
}

impl From<Token> for ArgvWord {
    fn from(token: Token) -> ArgvWord {
        ArgvWord::Pieces(vec![ArgvPiece::Token(token)])
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn place() -> TaskPlace<'static> {
        let path = OsStr::new("/data/n1/a b.fits.fz");
        TaskPlace {
            path,
            rel: OsStr::new("n1/a b.fits.fz"),
            index: 7,
            slot: 2,
            replica: 12,
            outs: &[],
            row: None,
        }
    }

    fn os(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn render(words: &[&str]) -> Vec<String> {
        let argv = Template::from_argv(&os(words), &Vocabulary::default()).unwrap().render(&place());
        argv.into_iter().map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn a_shell_script_with_a_placeholder_inside_is_noticed() {
        for (words, noticed) in [
            (&["sh", "-c", "wc {}"][..], true),
            (&["/bin/bash", "-e", "-lc", "wc '{}'"], true),
            (&["sh", "-c", "wc \"$1\"", "sh", "{}"], false),
            (&["sh", "script.sh", "{}"], false),
            (&["python", "-c", "{}"], false),
        ] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let template = Template::from_argv(&words, &Vocabulary::default()).unwrap();
            assert_eq!(template.puts_names_into_shell_code(), noticed, "{words:?}");
        }
    }

    #[test]
    fn every_token_is_replaced() {
        let table = [
            ("{}", "/data/n1/a b.fits.fz"),
            ("{/}", "a b.fits.fz"),
            ("{//}", "/data/n1"),
            ("{.}", "/data/n1/a b.fits"),
            ("{/.}", "a b.fits"),
            ("{:}", "/data/n1/a b"),
            ("{/:}", "a b"),
            ("{rel}", "n1/a b.fits.fz"),
            ("{index}", "7"),
            ("{slot}", "2"),
            ("{replica}", "12"),
        ];
        assert_eq!(table.map(|(token, _)| token), Token::ALL.map(Token::as_str));
        for (token, value) in table {
            assert_eq!(render(&["x", token, "{}"])[1], value);
            assert_eq!(render(&["x", &format!("-o={token}.{token}/")])[1], format!("-o={value}.{value}/"));
            assert_eq!(render(&["x", "{}", &format!("a{{{token}}}b")])[2], format!("a{token}b"));
        }
    }

    #[test]
    fn without_a_placeholder_the_path_is_appended() {
        assert_eq!(render(&["x"]), ["x", "/data/n1/a b.fits.fz"]);
        assert_eq!(render(&["x", "{{}}", "{a}"]), ["x", "{}", "{a}", "/data/n1/a b.fits.fz"]);
        assert_eq!(render(&["x", "{index}"]), ["x", "7"]);
        assert_eq!(render(&["x", "-s{slot}", "{replica}"]), ["x", "-s2", "12", "/data/n1/a b.fits.fz"]);
    }

    #[test]
    fn products_are_placeholders_where_they_are_declared() {
        let outs = Vocabulary::new([None, Some("img".to_owned())]);
        let names = [PathBuf::from("/o/.x/a.cat"), PathBuf::from("/o/.x/a.fits")];
        let place = TaskPlace { outs: &names, ..place() };
        let render = |words: &[&str]| Template::from_argv(&os(words), &outs).unwrap().render(&place);
        let words = ["x", "-o={out}", "{out:img}", "{{out}}{{out:img}}", "{}"];
        let rendered = ["x", "-o=/o/.x/a.cat", "/o/.x/a.fits", "{out}{out:img}", "/data/n1/a b.fits.fz"];
        assert_eq!(render(&words), os(&rendered));
        assert_eq!(render(&["x", "{out}"]), os(&["x", "/o/.x/a.cat", "/data/n1/a b.fits.fz"]));
        assert!(Template::from_argv(&os(&["x", "{out:no}"]), &outs).is_err());
        assert!(Template::of_worker(&os(&["x", "{out}"]), &outs).is_err());
        let plain =
            Template::from_argv(&os(&["x", "{out}", "{{out}}", "{}"]), &Vocabulary::default()).unwrap();
        assert_eq!(plain.render(&place)[1..3], os(&["{out}", "{out}"]));
    }

    #[test]
    fn the_path_of_a_product_is_the_tasks_alone() {
        let rendered = PathTemplate::parse(OsStr::new("cat/{/:}.{index}{{out}}"), &Vocabulary::default())
            .unwrap()
            .render(&place());
        assert_eq!(rendered, "cat/a b.7{out}");
        assert_eq!(
            PathTemplate::parse(OsStr::new("all.cat"), &Vocabulary::default()).unwrap().constant(),
            Some(OsStr::new("all.cat"))
        );
        for (path, part) in [
            ("", "empty"),
            ("a\0", "NUL"),
            ("cat/", "a name"),
            ("{//}/..", "a name"),
            ("cat/{/:}.{slot}", "{slot}"),
            ("{replica}/{/:}", "{replica}"),
            ("{out}.cat", "{out}"),
            ("{out:cat}", "{out}"),
        ] {
            let error =
                PathTemplate::parse(OsStr::new(path), &Vocabulary::default()).unwrap_err().to_string();
            assert!(error.contains(part), "{path:?}: {error}");
        }
    }

    #[test]
    fn a_worker_gets_no_path_and_what_is_of_a_file_is_refused() {
        let place = place();
        let render = |words: &[&str]| {
            Template::of_worker(&os(words), &Vocabulary::default()).map(|template| template.render(&place))
        };
        assert_eq!(render(&["x", "-s{slot}", "{replica}", "{{}}"]).unwrap(), os(&["x", "-s2", "12", "{}"]));
        assert_eq!(render(&["x"]).unwrap(), os(&["x"]));
        for token in Token::ALL {
            let is_refused = render(&["x", &format!("a{token}")]).is_err();
            assert_eq!(is_refused, ![Token::Slot, Token::Replica].contains(&token), "{token}");
        }
        assert!(render(&["x", "{index}"]).unwrap_err().to_string().contains("request"));
    }

    #[test]
    fn other_braces_stay() {
        let words = ["x", "{", "}", "{ }", "{x}", r#"{"a": 1}"#, "${}", "{{index}", "{{{slot}}}", "{}"];
        let rendered = render(&words);
        assert_eq!(rendered[1..6], words[1..6]);
        assert_eq!(rendered[6..9], ["$/data/n1/a b.fits.fz", "{7", "{{slot}}"]);
    }

    #[test]
    fn arguments_are_bytes_and_may_be_empty() {
        let words = [OsString::from("x"), OsString::new(), OsString::from_vec(b"\xff{/}\xfe".to_vec())];
        let path = OsStr::from_bytes(b"/d/\x80\n");
        let argv = Template::from_argv(&words, &Vocabulary::default())
            .unwrap()
            .render(&TaskPlace { path, ..place() });
        assert_eq!(argv[1], "");
        assert_eq!(argv[2].as_bytes(), b"\xff\x80\n\xfe");
    }

    #[test]
    fn the_program_is_known_unless_it_has_a_placeholder() {
        assert_eq!(
            Template::from_argv(&os(&["x{{}}"]), &Vocabulary::default()).unwrap().program(),
            Some(OsStr::new("x{}"))
        );
        assert_eq!(Template::from_argv(&os(&["{}", "x"]), &Vocabulary::default()).unwrap().program(), None);
    }

    #[test]
    fn words_without_placeholders_are_listed() {
        let template = Template::from_argv(
            &os(&["python3", "analyze.py", "--out={/.}", "{}", "-q"]),
            &Vocabulary::default(),
        )
        .unwrap();
        assert_eq!(template.words(), ["python3", "analyze.py", "-q"]);
    }

    #[test]
    fn a_program_that_cannot_be_one_is_an_error_that_helps() {
        for (words, part) in [
            (vec![], "after `--`"),
            (vec!["", "x"], "single spaces"),
            (vec!["'python", "x.py'"], "is 'python"),
            (vec!["\"canfar-run"], "job file"),
            (vec!["x\"\"", "y"], "without quotes"),
            (vec!["x", "a\0b"], "word 2"),
        ] {
            let error = Template::from_argv(&os(&words), &Vocabulary::default()).unwrap_err().to_string();
            assert!(error.contains(part), "{words:?}: {error}");
        }
    }
}
