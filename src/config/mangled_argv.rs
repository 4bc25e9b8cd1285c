//! Command lines that lost their spaces and quotes on the way through a launcher, and what to write instead. All of
//! it is about typed arguments: a job file arrives unchanged.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use anyhow::bail;

use crate::template::{Token, first_out, is_shell, quoted};
use crate::text::base_name;

/// Refuses what no one can have meant.
///
/// # Errors
/// When a word before the command is empty, or the script after `sh -c` came apart.
pub(super) fn check(argv: &[OsString]) -> anyhow::Result<()> {
    let (ours, command) = at_command(argv);
    if let Some(place) = ours.iter().position(|word| word.is_empty()) {
        let after = if place > 1 { ours[place - 1].display().to_string() } else { "canfar-run".to_owned() };
        bail!(
            "the argument after {after:?} is empty: a launcher such as `canfar create` splits the command at every space, so two spaces in a row, or an unset variable, leave an empty argument. Write the command on one line, with single spaces. What arrived:\n\n    {}\n",
            line(argv)
        );
    }
    match script_in_pieces(command) {
        Some(said) => bail!("{said}"),
        None => Ok(()),
    }
}

/// What may be meant, but is odd.
pub(super) fn notes(argv: &[OsString]) -> Vec<String> {
    let (_, command) = at_command(argv);
    let empty = command.iter().skip(1).position(|word| word.is_empty());
    let note = |place: usize| {
        format!(
            "word {} of the command is empty, and is passed on as it is. If that is not intended: two spaces in a row become an empty argument when a launcher splits at every space",
            place + 2
        )
    };
    empty.map(note).into_iter().collect()
}

/// Our own words, and those of the command.
fn at_command(argv: &[OsString]) -> (&[OsString], &[OsString]) {
    let end = argv.iter().position(|word| word == "--").unwrap_or(argv.len());
    (&argv[..end], argv.get(end + 1..).unwrap_or_default())
}

/// What arrived, readable: of a long line the beginning.
fn line(argv: &[OsString]) -> String {
    const LONGEST: usize = 400;
    let words: Vec<OsString> =
        std::iter::once("canfar-run".into()).chain(argv.iter().skip(1).cloned()).collect();
    let line = shown(&words);
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", &line[..end]),
        None => line,
    }
}

/// Words that used to be one script, without the quotes that may be left at its ends.
pub(super) fn rejoined<'a>(words: impl IntoIterator<Item = &'a OsStr>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| word.to_string_lossy()).collect();
    let joined = words.join(" ");
    let inside = ['\'', '"'].iter().find_map(|&quote| joined.strip_prefix(quote)?.strip_suffix(quote));
    inside.filter(|inside| !inside.contains(['\'', '"'])).unwrap_or(&joined).to_owned()
}

/// A value as a job file has it.
pub(super) fn toml_text(text: &str) -> toml::Value {
    toml::Value::String(text.to_owned())
}

/// `sh -c wc -c {}`: the shell would run `wc` alone, in silence and with success. A script of one word that reads none
/// of its arguments can't be meant when there are some; neither can Python code that is `import` and no more.
fn script_in_pieces(command: &[OsString]) -> Option<String> {
    let (start, script, rest) = script_of(command)?;
    let runs = |what: &str| {
        let script = script.display().to_string();
        format!(
            "{} runs only the {what} {script:?}, without the words after it: the launcher dropped the quotes.",
            shown(start)
        )
    };
    if !start.iter().any(|word| is_shell(word)) {
        let is_start = script == "import" || script == "from";
        return (is_start && !rest.is_empty()).then(|| {
            let script = "/arc/projects/.../task.py";
            format!(
                "{} Write it into a file, such as {script}, and run that: -- python3 {script} {{}}",
                runs("code")
            )
        });
    }
    let reads_more = script.as_bytes().iter().any(|byte| byte.is_ascii_whitespace() || *byte == b'$');
    // `sh -c ./run.sh sh {}` sets `$0`, which a script that lost its quotes never does.
    let names_itself = rest.first().is_none_or(|word| is_shell(word) || word == "_");
    if names_itself || reads_more {
        return None;
    }
    let whole = rejoined(std::iter::once(script).chain(rest).map(OsString::as_os_str));
    let toml = match start {
        [shell, option] if base_name(shell) == "sh" && option == "-c" => {
            format!("shell = {}", toml_text(&whole))
        }
        _ => format!("command = {}", as_command(start, &whole)),
    };
    Some(format!(
        "{} Put the command into a job file and give that with --job-file:\n\n    {toml}\n",
        runs("script")
    ))
}

/// The words up to a `-c` of a shell or of Python, the script, and what follows it.
fn script_of(command: &[OsString]) -> Option<(&[OsString], &OsString, &[OsString])> {
    let is_python = |word: &OsString| base_name(word).as_bytes().starts_with(b"python");
    let program = command.iter().position(|word| is_shell(word) || is_python(word))?;
    let is_option = |word: &&OsString| word.as_bytes().starts_with(b"-");
    let end = program + 1 + command[program + 1..].iter().take_while(is_option).count();
    let last = command[end - 1].as_bytes();
    let reads_script = last.starts_with(b"-") && !last.starts_with(b"--") && last.ends_with(b"c");
    let (script, rest) = command[end..].split_first()?;
    reads_script.then_some((&command[..end], script, rest))
}

fn shown(words: &[OsString]) -> String {
    quoted(words)
}

/// `bash -lc SCRIPT bash {} ...`, with placeholders as parameters, so that no name becomes code.
fn as_command(start: &[OsString], script: &str) -> toml::Value {
    let mut script = script.to_owned();
    let mut parameters = Vec::new();
    while let Some(token) = placeholder_in(&script) {
        script = script.replace(&token, &format!("\"${}\"", parameters.len() + 1));
        parameters.push(token);
    }
    let shell = start.iter().rev().find(|word| !word.as_bytes().starts_with(b"-"));
    let shell = shell.map_or("sh".into(), |shell| base_name(shell).to_string_lossy());
    let start: Vec<_> = start.iter().map(|word| word.to_string_lossy()).collect();
    let words = start.iter().map(AsRef::as_ref).chain([script.as_str(), &shell]);
    let words = words.chain(parameters.iter().map(String::as_str));
    toml::Value::Array(words.map(toml_text).collect())
}

/// A placeholder that a script has, in the order of the documentation; a product, whether it is declared or not.
fn placeholder_in(script: &str) -> Option<String> {
    let token = Token::ALL.map(Token::as_str).into_iter().find(|token| script.contains(token));
    token.map(str::to_owned).or_else(|| first_out(OsStr::new(script)))
}

/// A word that contains a blank among the options, and how that can happen. A script may contain any.
pub(super) fn blank_inside(argv: &[OsString]) -> Option<String> {
    let (ours, _) = at_command(argv);
    let is_odd =
        |text: &str| text.ends_with(char::is_whitespace) || text.contains(" -") || text.contains('\u{a0}');
    let is_script = |before: &OsString, text: &str| before == "--shell" || text.starts_with("--shell=");
    let words =
        ours.iter().zip(ours.iter().skip(1)).filter_map(|(before, word)| Some((before, word.to_str()?)));
    let (_, word) = words.into_iter().find(|(before, text)| is_odd(text) && !is_script(before, text))?;
    Some(format!(
        "The argument {word:?} contains a blank. It may come from a line break in the launch command, from a non-breaking space copied from a web page, or from quotes around several arguments: write everything on one line, with single spaces."
    ))
}

/// A first character that looks like `-`, as web pages and chat programs produce it.
pub(super) fn typographic(word: &OsStr) -> Option<&'static str> {
    match word.to_str()?.chars().next()? {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some(
            "It begins with a dash that is not the `-` of the keyboard, probably from copied text: retype it",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{check, notes};

    fn argv(words: &[&str]) -> Vec<OsString> {
        std::iter::once(&"canfar-run").chain(words).map(OsString::from).collect()
    }

    fn error(words: &[&str]) -> String {
        check(&argv(words)).expect_err(&words.join(" ")).to_string()
    }

    #[test]
    fn an_empty_word_before_the_command_is_shown_where_it_is() {
        let said = error(&["-i", "*.fits", "--jobs", "", "2", "--", "x"]);
        assert!(said.contains("the argument after \"--jobs\" is empty"), "{said}");
        assert!(said.contains("canfar-run -i '*.fits' --jobs '' 2 -- x\n"), "{said}");
        assert!(error(&["", "-i"]).contains("the argument after \"canfar-run\" is empty"));
        assert!(error(&["merge", "", "out"]).contains("the argument after \"merge\" is empty"));
    }

    #[test]
    fn an_empty_word_of_the_command_is_noted_only() {
        let words = argv(&["-i", "a", "--", "x", "", "y"]);
        assert!(check(&words).is_ok());
        assert!(notes(&words)[0].starts_with("word 2 of the command is empty"));
        assert_eq!(notes(&argv(&["-i", "a", "--", "x"])), [""; 0]);
    }

    #[test]
    fn a_script_that_came_apart_is_put_together_again() {
        for (words, said) in [
            (&["sh", "-c", "wc", "-c", "{}"][..], "shell = \"wc -c {}\""),
            (&["/bin/sh", "-c", "'wc", "-c", "{}'"], "shell = \"wc -c {}\""),
            (&["sh", "-c", "awk", "'{print}'", "{}"], "shell = \"awk '{print}' {}\""),
            (
                &["bash", "-lc", "source", "setup.sh", "&&", "x", "{}", "{/.}.txt"],
                r#"command = ["bash", "-lc", 'source setup.sh && x "$1" "$2".txt', "bash", "{}", "{/.}"]"#,
            ),
            (
                &["nice", "sh", "-e", "-c", "wc", "{}"],
                r#"command = ["nice", "sh", "-e", "-c", 'wc "$1"', "sh", "{}"]"#,
            ),
            (&["python3", "-c", "import", "sys;", "print(1)"], "Write it into a file"),
        ] {
            let words: Vec<&str> = ["-i", "a", "--"].iter().chain(words).copied().collect();
            assert!(error(&words).contains(said), "{}", error(&words));
        }
    }

    #[test]
    fn scripts_that_may_be_meant_are_left_alone() {
        for words in [
            &["sh", "-c", "wc -c {}"][..],
            &["sh", "-c", "wc \"$1\"", "sh", "{}"],
            &["sh", "-c", "\"$0\"", "{}"],
            &["sh", "-c", "./run.sh"],
            &["sh", "-c", "./run.sh", "sh", "{}"],
            &["sh", "run.sh", "-c", "{}"],
            &["bash", "--norc", "run.sh", "{}"],
            &["python3", "-c", "print(1)", "{}"],
            &["analyze", "-c", "x", "{}"],
        ] {
            let words: Vec<&str> = ["-i", "a", "--"].iter().chain(words).copied().collect();
            assert!(check(&argv(&words)).is_ok(), "{words:?}");
        }
    }
}
