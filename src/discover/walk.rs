//! Walking down for all targets at once: one job per folder, none of which waits for another.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rayon::{Scope, ThreadPool};
use rustix::fs::FileType;

use super::ask::{Answer, Seen, denied_at, look_at, look_through};
use super::error::DiscoverError;
use super::exclude::Standing;
use super::folder::Folder;
use super::ground::Ground;
use super::harvest::{Basket, Harvest};
use super::path_pattern::clean;
use super::pool::neighbours;
use super::reading::{Reading, Visit};
use super::target::{Form, Target};

/// The search for one target.
struct Hunt<'g> {
    ground: &'g Ground<'g>,
    target: &'g Target<'g>,
    basket: Mutex<Basket>,
}

/// What each target leads to, in the order of the targets.
pub(super) fn walk(
    pool: &ThreadPool,
    ground: &Ground<'_>,
    targets: &[&Target<'_>],
) -> Result<Vec<Basket>, DiscoverError> {
    let hunts: Vec<Hunt> =
        targets.iter().map(|target| Hunt { ground, target, basket: Mutex::default() }).collect();
    pool.scope(|scope| {
        for hunts in hunts.chunks(neighbours(hunts.len())) {
            scope.spawn(move |scope| hunts.iter().for_each(|hunt| begin(scope, hunt)));
        }
    });
    ground.outcome()?;
    Ok(hunts.into_iter().map(Hunt::into_basket).collect())
}

impl Hunt<'_> {
    fn keep(&self, harvest: Harvest) {
        self.basket.lock().unwrap_or_else(PoisonError::into_inner).put(harvest);
    }

    fn into_basket(self) -> Basket {
        self.basket.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

fn begin<'s>(scope: &Scope<'s>, hunt: &'s Hunt<'s>) {
    if hunt.ground.is_over() {
        return;
    }
    let mut harvest = Harvest::default();
    let first = match hunt.target.form {
        Form::Empty => Ok(None),
        Form::Path | Form::PathDespiteMagic => begin_path(hunt, &mut harvest),
        Form::Pattern => begin_pattern(hunt, &mut harvest),
    };
    hunt.keep(harvest);
    match first {
        Ok(Some(first)) => scope.spawn(move |scope| visit(scope, hunt, first)),
        Ok(None) => {}
        Err(error) => hunt.ground.fail(error),
    }
}

fn visit<'s>(scope: &Scope<'s>, hunt: &'s Hunt<'s>, visit_here: Visit) {
    if hunt.ground.is_over() {
        return;
    }
    match Reading::of(hunt.ground, &hunt.target.pattern, visit_here) {
        Ok(reading) => {
            for next in reading.enter {
                scope.spawn(move |scope| visit(scope, hunt, next));
            }
            hunt.keep(reading.harvest);
        }
        Err(error) => hunt.ground.fail(error),
    }
}

/// A pattern starts in its fixed part, if that is a folder.
fn begin_pattern(hunt: &Hunt, harvest: &mut Harvest) -> Result<Option<Visit>, DiscoverError> {
    let (ground, pattern) = (hunt.ground, &hunt.target.pattern);
    let Some(seen) = seen_at(&pattern.base, harvest)? else { return Ok(None) };
    if seen.kind != FileType::Directory {
        return Ok(None);
    }
    let base = clean(&pattern.base);
    if ground.lies_in_results(&base) {
        harvest.tally.in_results = true;
        return Ok(None);
    }
    if ground.excludes.takes_way_to(&base) {
        harvest.tally.pruned += 1;
        return Ok(None);
    }
    if pattern.means_folder_at(0) && ground.wants(seen.kind) && !pattern.base_is_nameless {
        harvest.tally.matched += 1;
        harvest.paths.push(&base);
    }
    Ok(Some(Visit { folder: Folder::start(pattern.base.clone()), positions: pattern.open_at(0).collect() }))
}

/// A path is an entry, or a folder whose files are meant.
fn begin_path(hunt: &Hunt, harvest: &mut Harvest) -> Result<Option<Visit>, DiscoverError> {
    let ground = hunt.ground;
    let Some(seen) = seen_at(&hunt.target.raw, harvest)? else { return Ok(None) };
    let path = clean(&hunt.target.raw);
    if ground.is_results(seen.identity) || path.parent().is_some_and(|parent| ground.lies_in_results(parent))
    {
        harvest.tally.in_results = true;
        return Ok(None);
    }
    let excluded = is_path_excluded(ground, &path, seen.kind);
    if ground.wants(seen.kind) {
        harvest.tally.matched += 1;
        if !excluded {
            harvest.paths.push(&path);
        }
    } else if seen.kind != FileType::Directory {
        harvest.tally.miss(seen.kind, b"", || path);
    } else if excluded {
        harvest.tally.pruned += 1;
    } else {
        let pattern = &hunt.target.pattern;
        let positions = pattern.open_at(0).collect();
        return Ok(Some(Visit { folder: Folder::start(pattern.base.clone()), positions }));
    }
    Ok(None)
}

fn is_path_excluded(ground: &Ground, path: &Path, kind: FileType) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let standing = if kind == FileType::Directory { Standing::Folder } else { Standing::Other };
    let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    ground.excludes.takes(name, path, standing)
        || path.parent().is_some_and(|parent| ground.excludes.takes_way_to(parent))
}

/// What stands where a target starts; says why if it can't be told.
fn seen_at(path: &Path, harvest: &mut Harvest) -> Result<Option<Seen>, DiscoverError> {
    match look_through(path)? {
        Answer::Is(seen) => return Ok(Some(seen)),
        Answer::Denied => harvest.unreadable.push(&clean(&denied_at(path))),
        Answer::Nothing => {
            if let Answer::Is(link) = look_at(path)? {
                harvest.tally.miss(link.kind, b"", || PathBuf::from(path));
            }
        }
    }
    Ok(None)
}
