//! Why a pattern matched nothing: hints that help a user to find the mistake.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::ThreadPool;

use super::context::SearchContext;
use super::exclude::Excludes;
use super::matches::PatternMatches;
use super::name_pattern::NamePattern;
use super::path_list::merged;
use super::path_pattern::{clean, components};
use super::quoted::{Quoted, some_of};
use super::search::{EntryType, Search};
use super::target::{ArgumentForm, Target};
use super::walk::walk;

/// A target without a match.
pub(super) struct Case<'a> {
    pub(super) search: &'a Search<'a>,
    pub(super) pool: &'a ThreadPool,
    pub(super) target: &'a Target<'a>,
    pub(super) matches: &'a PatternMatches,
}

/// How many names of a folder are shown.
const SHOWN_NAMES: usize = 5;
/// How many names are read to choose those.
const READ_NAMES: usize = 10_000;
/// How many neighbouring arguments are tried as one path that was split.
const JOINED: usize = 4;
/// How many directories are searched to see whether another pattern would match.
const SEARCHED_FOLDERS: usize = 1000;

/// Lines that help, the most helpful ones first.
pub(super) fn help(case: &Case) -> Vec<String> {
    let mut lines = Vec::new();
    match case.target.form {
        ArgumentForm::Empty => lines.push(
            "an empty argument: two spaces in a row become one when the launcher splits at every space"
                .to_owned(),
        ),
        ArgumentForm::Path | ArgumentForm::PathDespiteMagic | ArgumentForm::Pattern => {
            lines.extend(meant_for_a_shell(case));
        }
    }
    lines.extend(in_results(case));
    lines.extend(denied(case));
    let kinds = other_kinds(case);
    if case.target.form != ArgumentForm::Empty && kinds.is_empty() && !case.matches.counts.in_results {
        lines.extend(nearest_folder(case));
    }
    lines.extend(kinds);
    lines.extend(excluded(case));
    lines.extend(split_path(case));
    lines
}

/// Quotes, `~`, variables and lists that no shell has expanded: here they are part of the name.
fn meant_for_a_shell(case: &Case) -> Option<String> {
    let argument = case.target.argument.to_str()?;
    let inside = argument.trim_matches(['\'', '"', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}']);
    if inside.len() < argument.len() {
        let found = if would_match(case, OsStr::new(inside)) { ", which matches" } else { "" };
        return Some(format!(
            "the quotes are part of it, since no shell removed them: write {}{found}",
            Quoted::from(inside)
        ));
    }
    if argument.contains(char::is_whitespace)
        && argument.split_whitespace().any(|part| would_match(case, OsStr::new(part)))
    {
        return Some("it is one argument with blanks in it, and parts of it match: quotes, a line break or a variable kept several together. Give them as separate arguments, or as a list in a job file".to_owned());
    }
    if let Some(patterns) = braces(argument) {
        let patterns: Vec<String> = patterns.iter().map(|one| format!("'{one}'")).collect();
        return Some(format!("braces have no meaning here: -i {}", patterns.join(" ")));
    }
    let is_variable = argument
        .split('$')
        .skip(1)
        .any(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic() || "_({".contains(c)));
    (argument.starts_with('~') || is_variable).then(|| {
        "only a shell expands `~` and variables, and none has seen this: write the full path".to_owned()
    })
}

/// What a shell makes of one pair of braces with alternatives.
fn braces(argument: &str) -> Option<Vec<String>> {
    let (before, rest) = argument.split_once('{')?;
    let (inside, after) = rest.split_once('}')?;
    let is_plain = inside.contains(',') && !inside.contains('{') && !before.ends_with('$');
    is_plain.then(|| inside.split(',').map(|one| format!("{before}{one}{after}")).collect())
}

fn in_results(case: &Case) -> Option<String> {
    let results = clean(&case.search.cwd.join(case.search.results_dir));
    case.matches.counts.in_results.then(|| {
        format!(
            "{} is the results directory, which is never searched: give another --results-dir",
            Quoted::from(&results)
        )
    })
}

fn denied(case: &Case) -> Option<String> {
    let unreadable = merged(&case.matches.unreadable);
    (!unreadable.is_empty()).then(|| format!("not allowed to read: {}", some_of(&unreadable, SHOWN_NAMES)))
}

fn other_kinds(case: &Case) -> Vec<String> {
    let counts = &case.matches.counts;
    let mut lines = Vec::new();
    if let Some((example, ())) = &counts.folders.example {
        lines.push(format!(
            "it matches {} and no file: add --type dir if these are the entries, {}",
            counted(counts.folders.count, "directory", "directories", example),
            files_in_them(case.target)
        ));
    }
    if let Some((example, ())) = &counts.files.example {
        let files = counted(counts.files.count, "file", "files", example);
        lines.push(match case.search.entry_type {
            EntryType::Dir => format!("it matches {files} and no directory: leave out --type dir"),
            EntryType::File => format!("it ends with a slash but matches {files}: leave the slash out"),
        });
    }
    if let Some((example, kind)) = &counts.others.example {
        let example = Quoted::from(example);
        lines.push(match counts.others.count {
            1 => format!("it matches only {example}, which is {kind}"),
            count => {
                format!("it matches only {count} things of other kinds, such as {example}, which is {kind}")
            }
        });
    }
    lines
}

fn counted(count: usize, one: &str, many: &str, example: &Path) -> String {
    let example = Quoted::from(example);
    if count == 1 { format!("1 {one} ({example})") } else { format!("{count} {many} (such as {example})") }
}

fn files_in_them(target: &Target) -> String {
    let argument = target.argument.as_bytes();
    let end = argument.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    if argument[..end].ends_with(b"**") {
        return "else there is nothing to do in them".to_owned();
    }
    let mut below = argument[..end].to_vec();
    below.extend_from_slice(b"/**");
    format!("or give {} for the files in them", Quoted(&OsString::from_vec(below)))
}

fn excluded(case: &Case) -> Option<String> {
    let pruned = case.matches.counts.pruned;
    match pruned {
        0 => None,
        1 => Some("1 directory was left out by --exclude, but holds no match either".to_owned()),
        _ => Some(format!("{pruned} directories were left out by --exclude, but hold no match either")),
    }
}

/// The nearest folder that exists, what is in it, and names that differ from the wanted one only in case.
fn nearest_folder(case: &Case) -> Vec<String> {
    let target = case.target;
    let way =
        if target.form == ArgumentForm::Pattern { clean(&target.pattern.base) } else { clean(&target.raw) };
    let Some(nearest) = way.ancestors().find(|folder| folder.is_dir()) else { return Vec::new() };
    let names = match names_in(nearest) {
        Ok(names) => names,
        Err(error) => return vec![format!("nearest existing folder: {} ({error})", Quoted::from(nearest))],
    };
    let listed = match names.len() {
        0 => "it is empty".to_owned(),
        1 => format!("1 entry: {}", some_of(&names, SHOWN_NAMES)),
        READ_NAMES => format!("{READ_NAMES} entries or more: {}", some_of(&names, SHOWN_NAMES)),
        count => format!("{count} entries: {}", some_of(&names, SHOWN_NAMES)),
    };
    let mut lines = vec![format!("nearest existing folder: {} ({listed})", Quoted::from(nearest))];
    let wanted = clean(&target.raw);
    let depth = components(nearest.as_os_str().as_bytes()).count();
    if let Some(component) = components(wanted.as_os_str().as_bytes()).nth(depth) {
        let alike = alike_but_for_case(component, &names);
        if !alike.is_empty() {
            lines.push(format!("upper and lower case differ: there is {}", some_of(&alike, SHOWN_NAMES)));
        }
    }
    lines
}

/// Sorted, hidden ones last: they are rarely meant.
fn names_in(folder: &Path) -> std::io::Result<Vec<OsString>> {
    let names: Result<Vec<OsString>, _> = std::fs::read_dir(folder)?
        .take(READ_NAMES)
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect();
    let mut names = names?;
    names.sort_by_cached_key(|name| (name.as_bytes().starts_with(b"."), name.clone()));
    Ok(names)
}

fn alike_but_for_case<'a>(component: &[u8], names: &'a [OsString]) -> Vec<&'a OsStr> {
    if component == b"**" {
        return Vec::new();
    }
    let lower = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase();
    let exactly = NamePattern::new(component);
    let roughly = NamePattern::new(lower(component).as_bytes());
    let differs = |name: &&OsString| {
        let name = name.as_bytes();
        roughly.matches(lower(name).as_bytes()) && !exactly.matches(name)
    };
    names.iter().filter(differs).map(OsString::as_os_str).collect()
}

/// The launch joins its arguments with spaces and splits them at spaces: a path with one arrives in pieces.
fn split_path(case: &Case) -> Option<String> {
    let patterns = &case.search.patterns;
    let index = case.target.index;
    let first = index.saturating_sub(JOINED - 1);
    for start in first..=index {
        for end in (index + 1).max(start + 2)..=(start + JOINED).min(patterns.len()) {
            let whole = patterns[start..end]
                .iter()
                .map(|pattern| pattern.0.as_os_str())
                .collect::<Vec<_>>()
                .join(OsStr::new(" "));
            if would_match(case, &whole) {
                return Some(format!(
                    "the launch may have split {} at a space: \
                     write `?` for the space, or give the path in a job file",
                    Quoted::from(&whole)
                ));
            }
        }
    }
    None
}

fn would_match(case: &Case, argument: &OsStr) -> bool {
    let asked = AtomicUsize::new(0);
    let keep_going = || asked.fetch_add(1, Ordering::Relaxed) < SEARCHED_FOLDERS;
    let answer = Target::new(case.target.index, argument, &clean(case.search.cwd)).and_then(|target| {
        if target.form != ArgumentForm::Pattern {
            return Ok(target.raw.symlink_metadata().is_ok());
        }
        let context = SearchContext::new(case.search, Excludes::default(), &keep_going)?;
        let matches = walk(case.pool, &context, &[&target])?;
        Ok(matches.iter().any(|matches| matches.counts.matched > 0))
    });
    answer.unwrap_or(false)
}
