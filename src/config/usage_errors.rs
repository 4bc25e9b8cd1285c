//! Better errors than the parser's for some wrong command lines: quotes that a launcher dropped, and subcommands
//! that don't exist.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, CommandFactory, Subcommand};

use crate::cli::{Cli, Request, subcommand_of};
use crate::config::mangled_argv::{blank_inside, rejoined, toml_text, typographic};
use crate::config::option_item::COMMAND;
use crate::config::shell_words::shown;
use crate::config::wrong_name::{meant, similar};
use crate::store::layout::Layout;
use crate::template::quoted;

/// The parser's error, or what is behind it.
pub(super) fn explained(error: clap::Error, argv: &[OsString]) -> anyhow::Error {
    if !error.use_stderr() {
        return error.into();
    }
    if let Some(why) = blank_inside(argv) {
        return anyhow::Error::msg(format!("{}\n{why}", first_line(&error)));
    }
    if error.kind() != ErrorKind::UnknownArgument {
        return error.into();
    }
    let said = dropped_quotes(argv)
        .or_else(|| no_such_subcommand(argv))
        .or_else(|| only_of_resume(&error))
        .or_else(|| command_as_option(&error, argv))
        .or_else(|| merged_output(&error, argv))
        .or_else(|| one_word_too_many(&error, argv));
    said.map_or_else(|| with_nearest_name(error, argv).into(), anyhow::Error::msg)
}

/// Where `--only` belongs, if it was given to another subcommand.
fn only_of_resume(error: &clap::Error) -> Option<String> {
    (wrong_word(error)? == "--only").then(|| {
        "--only belongs to `resume`, which runs files of a run again: canfar-run resume RESULTS_DIR --only failed".to_owned()
    })
}

/// The error with the option that was meant where other tools have another name for it. The parser's own tip, how to pass
/// the word to the command, is never what was meant.
fn with_nearest_name(mut error: clap::Error, argv: &[OsString]) -> clap::Error {
    let root = Cli::command();
    let command = argv.get(1).and_then(|word| root.find_subcommand(word)).unwrap_or(&root);
    let names: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
    let wrong = wrong_word(&error).and_then(|wrong| wrong.strip_prefix("--"));
    let right = wrong.and_then(|wrong| meant(wrong, names.iter().copied()));
    error.remove(ContextKind::Suggested);
    if let Some(name) = right {
        error.insert(ContextKind::SuggestedArg, ContextValue::String(format!("--{name}")));
    }
    error
}

/// The word that the parser does not know.
fn wrong_word(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(wrong)) => Some(wrong),
        _ => None,
    }
}

/// What is wrong, without usage and tips.
pub(super) fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let why = text.split("\n\n").next().unwrap_or(&text);
    why.strip_prefix("error: ").unwrap_or(why).to_owned()
}

/// What to say when `--shell SCRIPT` is followed by words: a job file that keeps them together.
pub(super) fn lost_quotes<'a>(script: &'a OsStr, words: impl IntoIterator<Item = &'a OsString>) -> String {
    let words = words.into_iter().map(OsString::as_os_str);
    let line = rejoined(std::iter::once(script).chain(words));
    let toml = toml_text(&line);
    format!(
        "--shell takes one string and is followed by more words. Put the whole line in quotes: --shell {}\nA `canfar create` line loses quotes: there, put the command into a job file and give that with --job-file:\n\n    shell = {toml}\n",
        quoted(&[line.into()])
    )
}

/// `--shell wc -c {}`: what follows the first word is taken for options and arguments of ours.
fn dropped_quotes(argv: &[OsString]) -> Option<String> {
    let is_shell = |word: &OsString| word.as_bytes().starts_with(b"--shell=");
    let place = argv.iter().position(|word| word == "--shell" || word == "--" || is_shell(word))?;
    let (script, rest) = match argv[place].as_bytes().strip_prefix(b"--shell=") {
        Some(script) => (OsStr::from_bytes(script), argv.get(place + 1..)?),
        None => argv.get(place + 1..)?.split_first().map(|(script, rest)| (script.as_os_str(), rest))?,
    };
    // A script with blanks in it has kept its quotes: something else is wrong.
    let is_one_word = !script.is_empty() && !script.as_bytes().contains(&b' ');
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

/// `--cmd 'python analyze.py {}'`.
fn command_as_option(error: &clap::Error, argv: &[OsString]) -> Option<String> {
    let wrong = wrong_word(error)?;
    meant(wrong.strip_prefix("--")?, std::iter::once(COMMAND))?;
    let start = format!("{wrong}=");
    let value = argv.iter().enumerate().find_map(|(place, word)| match word.to_str()? {
        word if word == wrong => argv.get(place + 1)?.to_str(),
        word => word.strip_prefix(&start),
    });
    Some(format!(
        "there is no option {wrong}: the command goes after `--`, after all options: `-- {}`",
        value.filter(|value| !value.starts_with('-')).unwrap_or("python analyze.py {}")
    ))
}

/// `--output stars.csv` for a run: its results become one file only when they are merged.
fn merged_output(error: &clap::Error, argv: &[OsString]) -> Option<String> {
    let wrong = wrong_word(error)?.strip_prefix("--")?;
    if subcommand_of(argv).0 != "run" || meant(wrong, std::iter::once("results-dir")).is_none() {
        return None;
    }
    let start = format!("--{wrong}");
    let place = argv.iter().position(|word| word.as_bytes().starts_with(start.as_bytes()))?;
    let value = match argv[place].to_str()?.split_once('=') {
        Some((_, value)) => value,
        None => argv.get(place + 1)?.to_str()?,
    };
    is_table(value).then(|| {
        format!(
            "there is no option --{wrong}: a run writes into a directory (`-o results`), and `merge` puts all results into one file afterwards: `canfar-run merge results -o {}`",
            quoted(&[value.into()])
        )
    })
}

/// Whether a file is called like merged results.
fn is_table(name: &str) -> bool {
    let ending = Path::new(name).extension().and_then(OsStr::to_str).unwrap_or_default();
    ["json", "jsonl", "csv", "tsv"].contains(&ending.to_lowercase().as_str())
}

/// A plain word where an option has to stand: half of a value with a space in it, or a command without `--`.
fn one_word_too_many(error: &clap::Error, argv: &[OsString]) -> Option<String> {
    let word = wrong_word(error)?;
    if let Some(why) = typographic(OsStr::new(word)) {
        return Some(format!("unexpected argument {word:?}. {why}"));
    }
    let place = argv.iter().position(|given| given == word)?;
    if word.starts_with('-') || place < 2 {
        return None;
    }
    if subcommand_of(argv).0 == "plan" && Layout::new(word).inputs().exists() {
        return Some(format!(
            "unexpected argument {word:?}: write: canfar-run plan -o {}",
            shown(&argv[place..=place])
        ));
    }
    if Request::has_subcommand(word) {
        return Some(format!("`{word}` must come first: `canfar-run {word} ...`"));
    }
    let value = value_in_pieces(argv, place);
    if !may_have_command(argv) {
        return value.map(|value| {
            format!(
                "unexpected argument {word:?} after {}, which takes one value. A launcher such as `canfar create` splits at every space; put a value that contains one into a job file, given with --job-file:\n\n    {}\n",
                value.before, value.setting
            )
        });
    }
    let before = value.as_ref().map_or_else(|| shown(&argv[place - 1..place]), |value| value.before.clone());
    let mut said = format!(
        "unexpected argument {word:?}: put `--` before the command: `{before} -- {}`",
        shown(&argv[place..])
    );
    if let Some(SplitValue { setting, .. }) = value {
        said.push_str(&format!(
            ". (If it is part of the value before it, which a launcher such as `canfar create` split at the space: write {setting} in a job file, given with --job-file)"
        ));
    }
    Some(said)
}

/// An option that takes one value, followed by another word.
struct SplitValue {
    /// The option and its value, as they were typed.
    before: String,
    /// The option with both words, as a job file has it.
    setting: String,
}

/// The value that the word at `place` may have been split from.
fn value_in_pieces(argv: &[OsString], place: usize) -> Option<SplitValue> {
    let (option, value) = (argv.get(place.checked_sub(2)?)?.to_str()?, argv[place - 1].to_str()?);
    let is_option = |known: &Arg| {
        let short = known.get_short().map(|short| format!("-{short}"));
        let long = known.get_long().map(|long| format!("--{long}"));
        known.get_action().takes_values() && [short, long].iter().flatten().any(|name| name == option)
    };
    let root = Cli::command();
    let name = root.get_arguments().find(|known| is_option(known))?.get_long()?;
    let whole = format!("{value} {}", argv[place].display());
    Some(SplitValue {
        before: format!("{option} {value}"),
        setting: format!("{name} = {}", toml_text(&whole)),
    })
}

/// Whether what stands here may be a command: one that takes one is asked for, and has none yet.
fn may_have_command(argv: &[OsString]) -> bool {
    let is_command = |word: &OsString| {
        ["--", "--call", "--shell"].iter().any(|start| word == start)
            || [&b"--call="[..], b"--shell="].iter().any(|start| word.as_bytes().starts_with(start))
    };
    matches!(subcommand_of(argv).0, "run" | "plan") && !argv.iter().any(is_command)
}

fn no_such_subcommand(argv: &[OsString]) -> Option<String> {
    let word = argv.get(1).filter(|word| !word.as_encoded_bytes().starts_with(b"-"))?;
    let root = Cli::command();
    let names: Vec<&str> = root.get_subcommands().map(clap::Command::get_name).collect();
    if names.iter().any(|name| word == name) {
        return None;
    }
    let shown = word.display().to_string();
    let is_input = Path::new(word).exists() || shown.contains(['*', '?']);
    Some(match similar(&shown, names.iter().copied()) {
        _ if is_input => match ending_of(word) {
            Some("py") => format!(
                "{shown:?} is no subcommand. The command stands after `--`, behind the input files: `canfar-run -i '*.fits' -- python3 {} {{}}`",
                quoted(&argv[1..2])
            ),
            Some("toml") => {
                format!(
                    "{shown:?} is no subcommand. A job file is given with --job-file {}",
                    quoted(&argv[1..2])
                )
            }
            _ => format!(
                "{shown:?} is not a subcommand. Input files are given with -i, and the command after `--`: `canfar-run -i {} -- python analyze.py {{}}`",
                inputs_in(&argv[1..])
            ),
        },
        Some(name) => format!("there is no subcommand {shown:?}; the nearest one is `{name}`"),
        None => format!(
            "there is no subcommand {shown:?}, only {}. The command to run for each file goes after `--`, such as `canfar-run -i '*.fits' -- python analyze.py {{}}`",
            names.join(", ")
        ),
    })
}

fn ending_of(word: &OsString) -> Option<&str> {
    Path::new(word).extension()?.to_str()
}

/// The input among words of a line without options: the first, or where a shell made several files of a folder out of a glob,
/// that again.
fn inputs_in(words: &[OsString]) -> String {
    let parts = |word: &OsString| {
        let path = Path::new(word);
        Some((path.parent()?.to_owned(), path.extension()?.to_owned()))
    };
    let first = words.first().and_then(parts);
    let files = words.iter().take_while(|word| *word != "--" && !word.as_bytes().starts_with(b"-"));
    let alike = files.take_while(|word| parts(word) == first && Path::new(word).is_file()).count();
    match first {
        Some((folder, ending)) if alike > 1 => {
            let mut glob = OsString::from("*.");
            glob.push(ending);
            quoted(&[folder.join(glob).into_os_string()])
        }
        _ => quoted(&words[..1]),
    }
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
        let said_of = |words| {
            let said = said(words);
            let mut lines = said.lines().map(str::trim);
            lines.find(|line| line.starts_with("shell =")).unwrap_or_default().to_owned()
        };
        assert_eq!(said_of(&["--shell", "wc", "-c", "{}"]), "shell = \"wc -c {}\"");
        assert_eq!(said_of(&["-i", "a", "--shell", "wc", "{}", "--results-dir", "x"]), "shell = \"wc {}\"");
        assert_eq!(said_of(&["--shell=wc", "-c", "{}"]), "shell = \"wc -c {}\"");
        assert_eq!(said_of(&["--shell", "'wc", "-c", "{}'"]), "shell = \"wc -c {}\"");
        let typed = said(&["--shell", "wc", "-c", "{}"]);
        assert!(typed.contains("Put the whole line in quotes: --shell 'wc -c {}'"), "{typed}");
        assert!(said(&["--shell", "wc -c {}", "--jbos", "4"]).contains("'--jbos'"));
        assert!(said(&["--shell", "wc", "--jobs", "4", "--jbos"]).contains("'--jbos'"));
    }

    #[test]
    fn a_value_with_a_space_was_split() {
        let said = |words| said(words);
        assert!(said(&["-i", "a", "-o", "/arc/my", "results"]).contains("results-dir = \"/arc/my results\""));
        assert!(said(&["--timeout", "10", "m", "-i", "a"]).contains("timeout = \"10 m\""));
        let whole = said(&["-i", "a", "-o", "/arc/my", "results", "--", "x"]);
        assert!(whole.contains("splits at every space") && !whole.contains("put `--`"), "{whole}");
        assert!(said(&["-v", "x", "y"]).contains("unexpected argument"));
    }

    #[test]
    fn a_command_without_dashes_before_it_is_told_where_they_go() {
        for (words, line) in [
            (&["-i", "a", "-o", "x", "python", "an.py", "{}"][..], "`-o x -- python an.py {}`"),
            (&["-i", "a", "--merge", "python", "an.py"], "`--merge -- python an.py`"),
            (&["run", "cat", "{}"], "`run -- cat {}`"),
        ] {
            assert!(said(words).contains(&format!("put `--` before the command: {line}")), "{}", said(words));
        }
        assert!(
            said(&["-i", "a", "-o", "x", "python", "y"]).contains("results-dir = \"x python\" in a job file")
        );
        assert!(!said(&["status", "a", "b"]).contains("put `--`"));
    }

    #[test]
    fn a_command_as_an_option_is_told_where_it_stands() {
        assert!(said(&["-i", "a", "--cmd", "cat {}"]).ends_with("after all options: `-- cat {}`"));
        assert!(said(&["-i", "a", "--command=cat {}"]).ends_with("`-- cat {}`"));
        assert!(said(&["-i", "a", "--exec", "-v"]).ends_with("`-- python analyze.py {}`"));
    }

    #[test]
    fn the_file_of_all_results_is_made_by_a_merge() {
        let merged = "`canfar-run merge results -o stars.csv`";
        assert!(said(&["-i", "a", "--output", "stars.csv", "--", "x"]).ends_with(merged));
        assert!(said(&["-i", "a", "--out=stars.csv", "--", "x"]).ends_with(merged));
        assert!(said(&["-i", "a", "--output", "stars", "--", "x"]).contains("'--results-dir'"));
    }

    #[test]
    fn what_was_copied_from_a_page_is_told_by_its_characters() {
        assert!(
            said(&["-i", "a", "--jobs", "2 --threads", "1"]).contains("\"2 --threads\" contains a blank")
        );
        assert!(said(&["--jobs\u{a0}2", "-i", "a"]).contains("contains a blank"));
        assert!(said(&["--jobs", "2", "\u{2014}input", "a"]).contains("not the `-` of the keyboard"));
    }

    #[test]
    fn an_option_by_the_name_of_another_tool_leads_to_ours() {
        for (wrong, right) in [
            ("--replicas", "'--replica-count'"),
            ("--parallel=4", "'--jobs'"),
            ("--results_dir", "'--results-dir'"),
            ("--output", "'--results-dir'"),
        ] {
            let said = said(&["-i", "a", wrong, "4"]);
            assert!(said.contains(&format!("exists: {right}")) && !said.contains("as a value"), "{said}");
        }
        assert!(said(&["merge", "--outptu", "x"]).contains("'--output'"));
    }

    #[test]
    fn files_that_a_shell_made_of_a_glob_become_the_glob_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, "").unwrap();
            file.to_str().unwrap().to_owned()
        };
        let (one, other, script, job) = (file("a.fits"), file("b.fits"), file("my.py"), file("job.toml"));
        let glob = format!("-i '{}/*.fits' --", folder.path().display());
        assert!(said(&[&one, &other, "--", "y"]).contains(&glob));
        assert!(said(&[&one, "--", "y"]).contains("a.fits"));
        assert!(
            said(&[&script]).contains(&format!("-- python3 {}", super::quoted(&[script.clone().into()])))
        );
        assert!(said(&[&job]).contains("given with --job-file"));
    }

    #[test]
    fn tables_and_runs_in_the_wrong_place_are_told_where_they_go() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("inputs.jsonl"), "").unwrap();
        let run = folder.path().to_str().unwrap();
        assert!(said(&["plan", run]).contains("write: canfar-run plan -o "), "{}", said(&["plan", run]));
    }

    #[test]
    fn a_first_word_that_is_no_subcommand_is_told_where_commands_stand() {
        assert!(said(&["merg", "out"]).ends_with("no subcommand \"merg\"; the nearest one is `merge`"));
        assert!(said(&["python", "an.py"]).contains("no subcommand \"python\", only run, plan, merge"));
        assert!(
            said(&["x/*.fits", "--", "y"]).contains("`canfar-run -i 'x/*.fits' -- python analyze.py {}`")
        );
        assert!(said(&["--jobs", "2", "run"]).contains("`run` must come first"));
        assert!(said(&["merge", "--jbos"]).contains("'--jbos'"));
    }
}
