//! Walking down for all targets at once: one job per folder, none of which waits for another.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::{Scope, ThreadPool};
use rustix::fs::FileType;

use super::ask::{Answer, FileInfo, denied_at, look_at, look_through};
use super::context::SearchContext;
use super::error::DiscoverError;
use super::exclude::PathKind;
use super::folder::Folder;
use super::folder_scan::{FolderScan, Visit};
use super::matches::{FolderMatches, PatternMatches};
use super::path_pattern::clean;
use super::pool::neighbours;
use super::target::{ArgumentForm, Target};

/// The walk for one target.
struct Walk<'g> {
    context: &'g SearchContext<'g>,
    target: &'g Target<'g>,
    matches: Mutex<PatternMatches>,
}

/// What each target matches, in the order of the targets.
pub(super) fn walk(
    pool: &ThreadPool,
    context: &SearchContext<'_>,
    targets: &[&Target<'_>],
) -> Result<Vec<PatternMatches>, DiscoverError> {
    let walks: Vec<Walk> =
        targets.iter().map(|target| Walk { context, target, matches: Mutex::default() }).collect();
    pool.scope(|scope| {
        for walks in walks.chunks(neighbours(walks.len())) {
            scope.spawn(move |scope| walks.iter().for_each(|walk| begin(scope, walk)));
        }
    });
    context.outcome()?;
    Ok(walks.into_iter().map(Walk::into_matches).collect())
}

impl Walk<'_> {
    fn keep(&self, matches: FolderMatches) {
        self.matches.lock().unwrap_or_else(PoisonError::into_inner).put(matches);
    }

    fn into_matches(self) -> PatternMatches {
        self.matches.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

fn begin<'s>(scope: &Scope<'s>, walk: &'s Walk<'s>) {
    if walk.context.is_over() {
        return;
    }
    let mut matches = FolderMatches::default();
    let first = match walk.target.form {
        ArgumentForm::Empty => Ok(None),
        ArgumentForm::Path | ArgumentForm::PathDespiteMagic => begin_path(walk, &mut matches),
        ArgumentForm::Pattern => begin_pattern(walk, &mut matches),
    };
    walk.keep(matches);
    match first {
        Ok(Some(first)) => scope.spawn(move |scope| visit(scope, walk, first)),
        Ok(None) => {}
        Err(error) => walk.context.fail(error),
    }
}

fn visit<'s>(scope: &Scope<'s>, walk: &'s Walk<'s>, visit_here: Visit) {
    if walk.context.is_over() {
        return;
    }
    match FolderScan::of(walk.context, &walk.target.pattern, visit_here) {
        Ok(scan) => {
            for next in scan.enter {
                scope.spawn(move |scope| visit(scope, walk, next));
            }
            walk.keep(scan.matches);
        }
        Err(error) => walk.context.fail(error),
    }
}

/// Starts a pattern in its fixed part, if that is a folder.
fn begin_pattern(walk: &Walk, matches: &mut FolderMatches) -> Result<Option<Visit>, DiscoverError> {
    let (context, pattern) = (walk.context, &walk.target.pattern);
    let Some(info) = info_at(&pattern.base, matches)? else { return Ok(None) };
    if info.kind != FileType::Directory {
        return Ok(None);
    }
    let base = clean(&pattern.base);
    if context.is_in_results(&base) {
        matches.counts.in_results = true;
        return Ok(None);
    }
    if context.excludes.is_way_excluded(&base) {
        matches.counts.pruned += 1;
        return Ok(None);
    }
    if pattern.means_folder_at(0) && context.is_wanted(info.kind) && !pattern.base_is_nameless {
        matches.counts.matched += 1;
        matches.paths.push(&base);
    }
    Ok(Some(Visit { folder: Folder::start(pattern.base.clone()), positions: pattern.open_at(0).collect() }))
}

/// Handles a plain path: an entry, or a folder that stands for its files.
fn begin_path(walk: &Walk, matches: &mut FolderMatches) -> Result<Option<Visit>, DiscoverError> {
    let context = walk.context;
    let Some(info) = info_at(&walk.target.raw, matches)? else { return Ok(None) };
    let path = clean(&walk.target.raw);
    if context.is_results(info.identity) || path.parent().is_some_and(|parent| context.is_in_results(parent))
    {
        matches.counts.in_results = true;
        return Ok(None);
    }
    let excluded = is_path_excluded(context, &path, info.kind);
    if context.is_wanted(info.kind) {
        matches.counts.matched += 1;
        if !excluded {
            matches.paths.push(&path);
        }
    } else if info.kind != FileType::Directory {
        matches.counts.add_wrong_kind(info.kind, b"", || path);
    } else if excluded {
        matches.counts.pruned += 1;
    } else {
        let pattern = &walk.target.pattern;
        let positions = pattern.open_at(0).collect();
        return Ok(Some(Visit { folder: Folder::start(pattern.base.clone()), positions }));
    }
    Ok(None)
}

fn is_path_excluded(context: &SearchContext, path: &Path, kind: FileType) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let path_kind = if kind == FileType::Directory { PathKind::Folder } else { PathKind::Other };
    let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    context.excludes.is_excluded(name, path, path_kind)
        || path.parent().is_some_and(|parent| context.excludes.is_way_excluded(parent))
}

/// What exists where a target starts. If unknown, `matches` says why.
fn info_at(path: &Path, matches: &mut FolderMatches) -> Result<Option<FileInfo>, DiscoverError> {
    match look_through(path)? {
        Answer::Is(info) => return Ok(Some(info)),
        Answer::Denied => matches.unreadable.push(&clean(&denied_at(path))),
        Answer::Nothing => {
            if let Answer::Is(link) = look_at(path)? {
                matches.counts.add_wrong_kind(link.kind, b"", || PathBuf::from(path));
            }
        }
    }
    Ok(None)
}
