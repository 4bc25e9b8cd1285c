//! Placeholders of other tools in a command, which are passed to it as text.

use crate::model::row::Column;
use crate::template::Token;
use crate::units;

/// What other tools call what a placeholder of ours stands for.
const SAME: [(Token, &[&str]); 7] = [
    (Token::Path, &["1", "file", "path", "input", "filename", "infile", "name"]),
    (Token::BaseName, &["1/", "base", "basename"]),
    (Token::Directory, &["1//", "dir", "dirname", "folder", "parent"]),
    (Token::WithoutExtension, &["1."]),
    (Token::BaseWithoutExtension, &["1/.", "stem"]),
    (Token::Index, &["#", "n", "i", "id", "number", "seq", "seed"]),
    (Token::Slot, &["%"]),
];

/// Whole programs in awk.
const CODE: [&str; 4] = ["print", "next", "exit", "getline"];

/// How many are named.
const NAMED: usize = 4;

/// One line about everything in a command that looks like a placeholder but isn't one; `None` if nothing does.
pub(super) fn note<'w>(words: impl IntoIterator<Item = &'w str>, columns: &[Column]) -> Option<String> {
    let mut found: Vec<&str> = Vec::new();
    for name in words.into_iter().flat_map(foreign_in) {
        if !found.contains(&name) && !columns.iter().any(|column| column.name == name) {
            found.push(name);
        }
    }
    let is = match found.len() {
        0 => return None,
        1 => "is not a placeholder and is passed to the command as it is",
        _ => "are not placeholders and are passed to the command as they are",
    };
    let more = if found.len() > NAMED { ", ..." } else { "" };
    found.truncate(NAMED);
    let named: Vec<String> = found.iter().map(|name| format!("{{{name}}}")).collect();
    let ours: Vec<String> = found
        .iter()
        .filter_map(|name| Some(format!("{} for {{{name}}}", instead_of(name, columns)?)))
        .collect();
    let instead = if ours.is_empty() { String::new() } else { format!(": use {}", ours.join(", ")) };
    let all = Token::ALL.map(Token::as_str).join(" ");
    let columns = match columns {
        [] => String::new(),
        _ => format!(". Columns: {}", named_columns(columns)),
    };
    Some(format!("{}{more} {is}{instead}. Placeholders: {all}{columns}", named.join(", ")))
}

/// What was meant: of a table the column that is called nearly so, else what stands for the same in other tools.
fn instead_of(name: &str, columns: &[Column]) -> Option<String> {
    let likeness = |column: &&Column| strsim::jaro_winkler(&column.name.to_lowercase(), &name.to_lowercase());
    let near = columns.iter().filter(|column| likeness(column) > 0.8);
    let nearest = near.max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    nearest
        .map(|column| format!("{{{}}}", column.name))
        .or_else(|| same_as(name).map(|token| token.to_string()))
}

/// The columns, of many the first.
fn named_columns(columns: &[Column]) -> String {
    const MOST: usize = 12;
    let named: Vec<String> = columns.iter().take(MOST).map(|column| format!("{{{}}}", column.name)).collect();
    let more = if columns.len() > MOST { " ..." } else { "" };
    units::printable(&(named.join(" ") + more))
}

fn same_as(name: &str) -> Option<Token> {
    SAME.iter().find(|(_, names)| names.contains(&name)).map(|(token, _)| *token)
}

/// What stands in braces and may be a placeholder of another tool; not code of shells, regular expressions and templates.
fn foreign_in(word: &str) -> impl Iterator<Item = &str> {
    word.match_indices('{').filter_map(|(at, _)| {
        let (before, inner) = (word[..at].chars().next_back(), &word[at + 1..]);
        let (name, behind) = inner.split_once('}')?;
        let is_ours = Token::ALL.iter().any(|token| token.as_str()[1..].strip_suffix('}') == Some(name));
        let is_doubled = before == Some('{') && behind.starts_with('}');
        let is_variable = matches!(before, Some('$' | '%' | '@' | '\\'));
        let is_quantifier = name.bytes().all(|byte| byte.is_ascii_digit())
            && before
                .is_some_and(|before| before.is_alphanumeric() || matches!(before, ']' | ')' | '.' | '*'));
        let is_foreign = is_name(name) && !is_ours && !CODE.contains(&name);
        (is_foreign && !is_doubled && !is_variable && !is_quantifier).then_some(name)
    })
}

/// Whether other tools have such a placeholder, or might: a word, a number with a part of the path, a sign.
fn is_name(name: &str) -> bool {
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match name.as_bytes() {
        [b'#' | b'%'] => true,
        [b'0'..=b'9', ..] => matches!(
            name.trim_start_matches(|digit: char| digit.is_ascii_digit()),
            "" | "/" | "//" | "." | "/."
        ),
        [b'A'..=b'Z' | b'a'..=b'z', ..] => is_word(name) && name != "out",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::note;

    #[test]
    fn placeholders_of_other_tools_are_named_with_ours() {
        for (word, said) in [
            ("{1}", "{1} is not a placeholder and is passed to the command as it is: use {} for {1}. Pl"),
            ("--seed={seed}", "use {index} for {seed}."),
            ("{#}", "use {index} for {#}."),
            (
                "out/{base}{ext}",
                "{base}, {ext} are not placeholders and are passed to the command as they are: use {/} for {base}. P",
            ),
            ("{1/.}", "use {/.} for {1/.}."),
            (
                "cp '{}' {mine}.fits",
                "{mine} is not a placeholder and is passed to the command as it is. Placeholders: {} {/}",
            ),
            ("{a} {b} {a} {c} {d} {e}", "{a}, {b}, {c}, {d}, ... are not"),
        ] {
            let note = note([word], &[]).unwrap();
            assert!(note.contains(said), "{note}");
        }
    }

    #[test]
    fn code_is_none_of_them() {
        let words = [
            "{}",
            "{/.}",
            "{index}",
            "{out}",
            "{out:cat}",
            "{print}",
            "{print $1}",
            "${base}",
            "{{base}}",
            "[0-9]{4}",
            "x{2,3}",
            "a{3}",
            "{a,b}",
            "{1..9}",
            "{\"a\":1}",
            "{ x; }",
            "{",
            "}",
        ];
        assert_eq!(note(words, &[]), None);
    }
}
