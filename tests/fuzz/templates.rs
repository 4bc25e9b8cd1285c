//! Command templates and shell lines out of anything: no name gets into the code, and what was a script stays one.

use std::ffi::{OsStr, OsString};
use std::process::Command;

use canfar_run::testing::{TaskPlace, Template, Vocabulary};
use proptest::collection::vec;
use proptest::prelude::*;

use super::hunt;
use crate::support::InTime;

const TOKENS: [&str; 10] =
    ["{}", "{/}", "{//}", "{.}", "{/.}", "{:}", "{index}", "{slot}", "{out}", "{out:cat}"];

const PARTS: [&str; 56] = [
    " ",
    " ",
    " ",
    " ",
    "\n",
    ";",
    "&&",
    "||",
    "|",
    "&",
    "a",
    "echo",
    "x=",
    "'",
    "\"",
    "\\",
    "$",
    "$1",
    "\"$1\"",
    "${1}",
    "${x:-",
    "}",
    "$(",
    ")",
    "`",
    "((",
    "))",
    "$((",
    "(",
    "{",
    "if ",
    "then ",
    "fi",
    "for f in ",
    "do ",
    "done",
    "case ",
    " in ",
    "esac",
    ";;",
    "<<E\n",
    "<<'E'\n",
    "\nE\n",
    "<<-E\n",
    ">",
    "2>&1",
    "#",
    "[",
    "]",
    "=",
    "$'",
    "!",
    "{{}}",
    "set --",
    "shift",
    "\r",
];

fn script() -> impl Strategy<Value = String> {
    let part = prop_oneof![3 => prop::sample::select(&PARTS[..]), 1 => prop::sample::select(&TOKENS[..])];
    vec(part, 1..16).prop_map(|parts| parts.concat())
}

fn outs() -> Vocabulary {
    Vocabulary::new([None, Some("cat".to_owned())])
}

fn place(path: &str) -> TaskPlace<'_> {
    TaskPlace {
        path: OsStr::new(path),
        rel: OsStr::new(path),
        index: 41,
        slot: 3,
        replica: 7,
        outs: &[],
        row: None,
    }
}

/// Whether the shell reads it to its end without finding it wrong.
fn parses(script: &OsStr) -> bool {
    Command::new("/bin/sh").arg("-nc").arg(script).output_in_time().unwrap().status.success()
}

#[test]
fn shell_lines_keep_names_out_of_their_code_and_still_parse() {
    hunt("shell lines", 500, &script(), |script| {
        let Ok(template) = Template::from_shell(OsStr::new(&script), &outs()) else {
            return Ok(());
        };
        let name = "/n/$(n)`n`';\"n\n n.fits";
        let (one, other) = (template.render(&place(name)), template.render(&place("/a/b.fits")));
        prop_assert_eq!(&one[..4], &other[..4], "{:?}", script);
        let plain = TOKENS.iter().fold(script.replace("{{}}", "ab"), |text, token| text.replace(token, "ab"));
        let plain = if plain.starts_with(['-', '+']) { format!(" {plain}") } else { plain };
        if parses(OsStr::new(&plain)) {
            prop_assert!(parses(&one[2]), "{:?} became {:?}", script, one[2]);
        }
        Ok(())
    });
}

#[test]
fn words_with_placeholders_have_only_those_replaced() {
    let part =
        prop_oneof![prop::sample::select(&PARTS[..]), prop::sample::select(&TOKENS[..]), Just("{{/}}")];
    let word = vec(part, 0..6).prop_map(|parts| OsString::from(parts.concat()));
    hunt("templates", 500, &vec(word, 0..5), |words| {
        let Ok(template) = Template::from_argv(&words, &outs()) else { return Ok(()) };
        let rendered = template.render(&place("/data/n.fits"));
        let has_token = |word: &OsString| word.as_encoded_bytes().contains(&b'{');
        let appended = usize::from(rendered.len() > words.len());
        prop_assert_eq!(rendered.len(), words.len() + appended);
        for (word, rendered) in words.iter().zip(&rendered).filter(|(word, _)| !has_token(word)) {
            prop_assert_eq!(word, rendered);
        }
        Ok(())
    });
}
