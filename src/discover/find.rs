//! The whole search: from the arguments to one list, with an error for patterns that match nothing.

use std::ffi::OsStr;
use std::path::PathBuf;

use rayon::ThreadPool;
use rayon::prelude::*;

use super::context::SearchContext;
use super::error::{DiscoverError, NoMatch, SHOWN_PATTERNS, Unmatched};
use super::exclude::{Excludes, syntax_note};
use super::explain::{Case, help};
use super::listed_files::{ListedFiles, listed_files};
use super::matches::PatternMatches;
use super::path_list::merged;
use super::path_pattern::clean;
use super::pool::pool;
use super::search::{Found, Note, Search};
use super::target::{ArgumentForm, Target};
use super::walk::walk;
use crate::model::entries::{Entries, Entry};

/// Finds everything that the patterns match, with threads of its own.
///
/// The patterns are those of Python's `glob.glob(pattern, recursive=True)` (3.11), restricted to the wanted kind of entry,
/// with three differences: `**` does not follow a link that leads back to a directory above it, repeats count once, and an
/// argument that exists but would not match itself is taken as that path. A plain path to a directory means the files
/// below it that are not hidden.
///
/// `keep_going` is called before each directory.
///
/// # Errors
/// [`DiscoverError::BadExclude`]; [`DiscoverError::NoMatch`] with help if a pattern matched nothing (before excluding), [`DiscoverError::AllExcluded`] if
/// nothing was left, neither of them with `allow_empty`; [`DiscoverError::Listing`] if the storage failed;
/// [`DiscoverError::Stopped`] if `keep_going` returned false.
pub fn find(search: &Search<'_>, keep_going: &(dyn Fn() -> bool + Sync)) -> Result<Found, DiscoverError> {
    let cwd = clean(search.cwd);
    let context = SearchContext::new(search, Excludes::new(search.exclude, &cwd)?, keep_going)?;
    let pool = pool()?;
    let listed = listed_files(search, &cwd, &context, &pool);
    let rest: Vec<usize> = (0..search.patterns.len()).filter(|index| !listed.is_file[*index]).collect();
    let targets: Vec<Target> = pool.install(|| {
        rest.par_iter()
            .map(|index| Target::new(*index, &search.patterns[*index].0, &cwd))
            .collect::<Result<_, _>>()
    })?;
    let matches = walk(&pool, &context, &targets.iter().collect::<Vec<_>>())?;
    let unmatched = unmatched(search, keep_going, &pool, &targets, &matches)?;
    let near_misses =
        targets.iter().zip(&matches).filter_map(|(target, matches)| other_case(target, matches));
    let mut notes: Vec<Note> = targets
        .iter()
        .filter_map(taken_as_path)
        .chain(syntax_note(search.exclude))
        .chain(near_misses)
        .collect();
    if search.allow_empty {
        let nothing = |place: &usize| Note::MatchedNothing(targets[*place].argument.to_os_string());
        notes.extend(unmatched.iter().map(nothing));
    } else if !unmatched.is_empty() {
        return Err(no_match(search, &pool, &targets, &matches, &unmatched));
    }
    gathered(search, listed, matches, notes)
}

/// The places of the targets without a match, before excluding: folders that were excluded without being searched are
/// searched now.
fn unmatched(
    search: &Search,
    keep_going: &(dyn Fn() -> bool + Sync),
    pool: &ThreadPool,
    targets: &[Target],
    matches: &[PatternMatches],
) -> Result<Vec<usize>, DiscoverError> {
    let (pruned, mut unmatched): (Vec<usize>, Vec<usize>) = (0..targets.len())
        .filter(|index| matches[*index].counts.matched == 0)
        .partition(|index| matches[*index].counts.pruned > 0);
    if !pruned.is_empty() {
        let everything = SearchContext::new(search, Excludes::default(), keep_going)?;
        let again: Vec<&Target> = pruned.iter().map(|index| &targets[*index]).collect();
        let matches = walk(pool, &everything, &again)?;
        let empty = pruned.iter().zip(matches).filter(|(_, matches)| matches.counts.matched == 0);
        unmatched.extend(empty.map(|(index, _)| *index));
        unmatched.sort_unstable();
    }
    Ok(unmatched)
}

fn taken_as_path(target: &Target) -> Option<Note> {
    (target.form == ArgumentForm::PathDespiteMagic).then(|| Note::TakenAsPath(target.argument.to_os_string()))
}

/// A pattern that misses some files only because of upper and lower case: half of the files would look like all of them.
fn other_case(target: &Target, matches: &PatternMatches) -> Option<Note> {
    let (example, ()) = matches.counts.other_case.example.clone()?;
    (matches.counts.matched > 0).then(|| Note::OtherCase {
        pattern: target.argument.to_os_string(),
        matched: matches.counts.matched,
        others: matches.counts.other_case.count,
        example,
    })
}

fn no_match(
    search: &Search,
    pool: &ThreadPool,
    targets: &[Target],
    matches: &[PatternMatches],
    unmatched: &[usize],
) -> DiscoverError {
    let patterns = unmatched.iter().enumerate().map(|(number, place)| {
        let target = &targets[*place];
        let case = Case { search, pool, target, matches: &matches[*place] };
        let help = if number < SHOWN_PATTERNS { help(&case) } else { Vec::new() };
        Unmatched { pattern: target.argument.to_os_string(), help }
    });
    DiscoverError::NoMatch(NoMatch { of: search.patterns.len(), patterns: patterns.collect() })
}

fn gathered(
    search: &Search,
    listed: ListedFiles,
    matches: Vec<PatternMatches>,
    mut notes: Vec<Note>,
) -> Result<Found, DiscoverError> {
    let (mut lists, mut unreadable, mut runs) = (listed.paths, Vec::new(), Vec::new());
    let (mut matched, mut pruned) = (listed.matched, 0);
    for matches in matches {
        matched += matches.counts.matched;
        pruned += matches.counts.pruned;
        lists.extend(matches.paths);
        unreadable.extend(matches.unreadable);
        runs.extend(matches.runs);
    }
    let paths = merged(&lists);
    notes.extend(merged(&runs).into_iter().map(|run| Note::LeftOutRun(run.into())));
    notes.retain(|note| !is_answered(note, &paths));
    if paths.is_empty() && matched + pruned > 0 {
        if !search.allow_empty {
            let found = match matched {
                0 => format!("all of it in {pruned} excluded directories"),
                _ => format!("{matched} entries"),
            };
            return Err(DiscoverError::AllExcluded {
                found,
                exclude: search.exclude.iter().map(|glob| glob.0.clone()).collect(),
            });
        }
        notes.push(Note::AllExcluded);
    }
    let unreadable = merged(&unreadable).into_iter().map(PathBuf::from).collect();
    Ok(Found { entries: entries_of(&paths)?, unreadable, notes })
}

/// Whether another argument gives what the note says is left out.
fn is_answered(note: &Note, paths: &[&OsStr]) -> bool {
    matches!(note, Note::OtherCase { example, .. } if paths.binary_search(&example.as_os_str()).is_ok())
}

fn entries_of(paths: &[&OsStr]) -> Result<Entries, DiscoverError> {
    let mut entries = Entries::with_capacity(paths.len(), paths.iter().map(|path| path.len()).sum());
    paths.iter().try_for_each(|path| entries.push(Entry::of(path))).map_err(DiscoverError::TooLong)?;
    Ok(entries)
}
