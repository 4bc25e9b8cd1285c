//! Wrong command lines of which more can be said than the parser knows: quotes that a launch dropped, and subcommands
//! that there are not.

use std::ffi::{OsStr, OsString};

use clap::error::ErrorKind;
use clap::{Arg, CommandFactory};

use crate::cli::Cli;

/// The parser's error, or what is behind it.
pub fn explained(error: clap::Error, argv: &[OsString]) -> anyhow::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error.into();
    }
    let said = dropped_quotes(argv).or_else(|| no_such_subcommand(argv));
    said.map_or_else(|| error.into(), anyhow::Error::msg)
}

/// What to say when `--shell SCRIPT` is followed by words: a job file that keeps them together.
pub(super) fn lost_quotes<'a>(script: &OsStr, words: impl IntoIterator<Item = &'a OsString>) -> String {
    let mut line = script.to_string_lossy().into_owned();
    for word in words {
        line.push(' ');
        line.push_str(&word.to_string_lossy());
    }
    let toml = toml::Value::String(line);
    format!(
        "--shell takes one string and is followed by more words: the launch dropped the quotes. Put the command into a job file and give that with --job-file:\n\n    shell = {toml}\n"
    )
}

/// `--shell wc -c {}`: what follows the first word is taken for options and arguments of ours.
fn dropped_quotes(argv: &[OsString]) -> Option<String> {
    let place = argv.iter().position(|word| word == "--shell" || word == "--")?;
    let (script, rest) = argv.get(place + 1..)?.split_first()?;
    // A script with blanks in it has kept its quotes: something else is wrong.
    let is_one_word = !script.is_empty() && !script.as_encoded_bytes().contains(&b' ');
    if argv[place] == "--" || !is_one_word {
        return None;
    }
    let ours: Vec<String> =
        Cli::command().get_arguments().filter_map(Arg::get_long).map(|name| format!("--{name}")).collect();
    let words: Vec<&OsString> = rest
        .iter()
        .take_while(|word| *word != "--" && !ours.iter().any(|ours| *word == ours.as_str()))
        .collect();
    (!words.is_empty()).then(|| lost_quotes(script, words))
}

fn no_such_subcommand(argv: &[OsString]) -> Option<String> {
    let word = argv.get(1).filter(|word| !word.as_encoded_bytes().starts_with(b"-"))?;
    let root = Cli::command();
    let names: Vec<&str> = root.get_subcommands().map(clap::Command::get_name).collect();
    (!names.iter().any(|name| word == name)).then(|| {
        format!(
            "there is no subcommand {:?}, only {}. The command that is to be run for each file stands after `--`, such as `canfar-run -i '*.fits' -- python analyze.py {{}}`",
            word.display().to_string(),
            names.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::CommandFactory;

    use crate::cli::Cli;

    fn said(words: &[&str]) -> String {
        let argv: Vec<OsString> = std::iter::once(&"canfar-run").chain(words).map(OsString::from).collect();
        let error = Cli::command().try_get_matches_from(&argv).unwrap_err();
        format!("{:#}", super::explained(error, &argv))
    }

    #[test]
    fn words_after_a_script_of_one_word_lost_their_quotes() {
        let said_of = |words| said(words).lines().nth(2).unwrap_or_default().trim().to_owned();
        assert_eq!(said_of(&["--shell", "wc", "-c", "{}"]), "shell = \"wc -c {}\"");
        assert_eq!(said_of(&["-i", "a", "--shell", "wc", "{}", "--results-dir", "x"]), "shell = \"wc {}\"");
        assert!(said(&["--shell", "wc {}", "--jbos", "4"]).contains("'--jbos'"));
        assert!(said(&["--shell", "wc", "--jobs", "4", "--jbos"]).contains("'--jbos'"));
    }

    #[test]
    fn a_first_word_that_is_no_subcommand_is_told_where_commands_stand() {
        assert!(said(&["merg", "out"]).contains("no subcommand \"merg\", only run, plan, merge"));
        assert!(said(&["merge", "--jbos"]).contains("'--jbos'"));
    }
}
