//! Scanning one folder for one pattern: which of its names are entries, and which folders to enter with which steps.
//!
//! A folder is listed once: all positions of the pattern that are open there (`**` keeps itself and what follows it open)
//! are answered from the same listing. Names are listed with their type, so only links, and file systems without types in
//! listings, cost a system call for each name.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType};

use super::ask::{
    Answer, FileInfo, Identity, denied_at, listing_ended, look_at, look_in, look_through, open_folder,
};
use super::context::SearchContext;
use super::error::DiscoverError;
use super::exclude::PathKind;
use super::folder::Folder;
use super::list_names::{self, ListedName};
use super::matches::FolderMatches;
use super::path_pattern::{Below, PathPattern, PatternStep, join};
use crate::store::layout::Layout;

/// A folder to be read, and the positions of the pattern that are open in it.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) folder: Arc<Folder>,
    pub(super) positions: Vec<usize>,
}

/// A scan of a folder, and what it has found so far.
pub(super) struct FolderScan<'g> {
    context: &'g SearchContext<'g>,
    pattern: &'g PathPattern,
    folder: Arc<Folder>,
    pub(super) matches: FolderMatches,
    /// Folders to enter next.
    pub(super) enter: Vec<Visit>,
    /// The path of the current name.
    current: Below,
    /// Names of a run's results directory that were listed.
    of_a_run: OfARun,
}

/// What shows that a folder holds a run.
#[derive(Debug, Default)]
struct OfARun {
    list: bool,
    journals: bool,
}

/// How the pattern matches a name. Reused from name to name, so that a name without a match allocates nothing.
#[derive(Debug, Default)]
struct NameMatch {
    /// It is an entry, if it is of the right kind.
    ends: bool,
    /// It would be one if upper and lower case were the same.
    ends_but_for_case: bool,
    /// It is an entry if it is a folder: the pattern ends with `NAME/**`.
    ends_as_folder: bool,
    /// Positions that are open in it, if it is a folder.
    onward: Vec<usize>,
    /// Those that are open only if it is no link to a folder above it.
    onward_by_depth: Vec<usize>,
}

/// What a name leads to.
struct ResolvedName {
    kind: FileType,
    /// Where it was looked up.
    identity: Option<Identity>,
    is_link: bool,
}

impl<'g> FolderScan<'g> {
    pub(super) fn of(
        context: &'g SearchContext<'g>,
        pattern: &'g PathPattern,
        visit: Visit,
    ) -> Result<Self, DiscoverError> {
        let Visit { folder, positions } = visit;
        let current = Below::new(&folder.path);
        let (matches, enter) = (FolderMatches::default(), Vec::new());
        let of_a_run = OfARun::default();
        let mut scan = Self { context, pattern, folder, matches, enter, current, of_a_run };
        let must_list = positions.iter().any(|position| pattern.steps[*position].needs_listing());
        let listed = must_list && scan.list(&positions)?;
        if scan.is_run_on_the_way() {
            return Ok(scan.without_run());
        }
        for position in positions {
            if let PatternStep::Literal(name) = &pattern.steps[position]
                && !(listed && pattern.steps[position].is_listed())
            {
                scan.probe(position, name)?;
            }
        }
        let shared = pattern.tidy(&scan.folder.path).as_os_str().len();
        scan.matches.paths.sort(shared);
        Ok(scan)
    }

    /// Whether the walk came to a folder that holds a run. One that a pattern names, or begins in, is meant.
    fn is_run_on_the_way(&self) -> bool {
        self.of_a_run.list && self.of_a_run.journals && !self.folder.is_start()
    }

    /// The scan of a folder that is left out, as the run's own results directory is.
    fn without_run(mut self) -> Self {
        self.matches = FolderMatches::default();
        self.matches.runs.push(&self.pattern.tidy(&self.folder.path));
        self.enter.clear();
        self
    }

    /// Handles all names of the folder; false if it could not be listed.
    fn list(&mut self, positions: &[usize]) -> Result<bool, DiscoverError> {
        let open = match open_folder(&self.folder.path)? {
            Answer::Is(open) => open,
            Answer::Nothing => return Ok(false),
            Answer::Denied => {
                self.folder_is_unreadable();
                return Ok(false);
            }
        };
        let mut name_match = NameMatch::default();
        let ended = list_names::each(open.as_fd(), |listed| {
            self.handle(open.as_fd(), listed, positions, &mut name_match)
        })?;
        if let Some(errno) = ended
            && listing_ended(errno, &self.folder.path)? == Answer::Denied
        {
            self.folder_is_unreadable();
        }
        Ok(true)
    }

    fn handle(
        &mut self,
        open: impl AsFd,
        listed: ListedName<'_>,
        positions: &[usize],
        name_match: &mut NameMatch,
    ) -> Result<(), DiscoverError> {
        let name = listed.name.to_bytes();
        if matches!(name, b"." | b"..") {
            return Ok(());
        }
        self.of_a_run.list |= name == Layout::LIST.as_bytes();
        self.of_a_run.journals |= name == Layout::JOURNALS.as_bytes();
        name_match.on_name(self.pattern, positions, name);
        let kind = listed.kind;
        if name_match.ends_but_for_case && self.context.is_wanted(kind) {
            self.current.name(name);
            if !self.is_excluded(name, kind == FileType::Directory) {
                let path = || self.pattern.tidy(self.current.path()).into_owned();
                self.matches.counts.add_other_case(name, path);
            }
        }
        let may_be_folder = matches!(kind, FileType::Directory | FileType::Symlink | FileType::Unknown);
        if !(name_match.ends || may_be_folder && name_match.leads_further()) {
            return Ok(());
        }
        if let Some(resolved) = self.resolve(open, listed, name_match.ends)? {
            self.take(name, &resolved, name_match);
        }
        Ok(())
    }

    /// What a listed name leads to, links followed; `None` if that is nothing.
    fn resolve(
        &mut self,
        open: impl AsFd,
        listed: ListedName<'_>,
        ends: bool,
    ) -> Result<Option<ResolvedName>, DiscoverError> {
        let ListedName { name, mut kind, inode } = listed;
        let path = || join(&self.folder.path, name.to_bytes());
        let suspicious = kind == FileType::Directory && self.context.may_be_results(inode, name.to_bytes());
        if kind == FileType::Unknown || suspicious {
            match look_in(&open, name, AtFlags::SYMLINK_NOFOLLOW, path)? {
                Answer::Is(info) if info.kind == FileType::Symlink => kind = FileType::Symlink,
                Answer::Is(info) => return Ok(Some(ResolvedName::from(info))),
                Answer::Nothing | Answer::Denied => return Ok(None),
            }
        }
        if kind != FileType::Symlink {
            return Ok(Some(ResolvedName { kind, identity: None, is_link: false }));
        }
        match look_in(&open, name, AtFlags::empty(), path)? {
            Answer::Is(info) => return Ok(Some(ResolvedName { is_link: true, ..ResolvedName::from(info) })),
            Answer::Denied => self.unreadable(&path()),
            Answer::Nothing if ends => {
                self.matches.counts.add_wrong_kind(FileType::Symlink, name.to_bytes(), path);
            }
            Answer::Nothing => {}
        }
        Ok(None)
    }

    /// Looks up a literal name without listing the folder.
    fn probe(&mut self, position: usize, name: &[u8]) -> Result<(), DiscoverError> {
        let path = join(&self.folder.path, name);
        let mut name_match = NameMatch::default();
        name_match.step_after(self.pattern, position);
        match look_through(&path)? {
            Answer::Is(info) => self.take(name, &ResolvedName::from(info), &name_match),
            Answer::Denied => self.unreadable(&denied_at(&path)),
            Answer::Nothing => {
                if name_match.ends && matches!(look_at(&path)?, Answer::Is(_)) {
                    self.matches.counts.add_wrong_kind(FileType::Symlink, name, || path);
                }
            }
        }
        Ok(())
    }

    /// Takes a name as an entry, as a folder to enter, or as both, now that its kind is known.
    fn take(&mut self, name: &[u8], resolved: &ResolvedName, name_match: &NameMatch) {
        if resolved.identity.is_some_and(|identity| self.context.is_results(identity)) {
            self.matches.counts.in_results = true;
            return;
        }
        let is_folder = resolved.kind == FileType::Directory;
        let ends = name_match.ends || is_folder && name_match.ends_as_folder;
        let is_entry =
            ends && self.context.is_wanted(resolved.kind) && (is_folder || !self.pattern.folders_only);
        if ends && !is_entry {
            self.matches.counts.add_wrong_kind(resolved.kind, name, || join(&self.folder.path, name));
        }
        let enters = is_folder && name_match.leads_further();
        if !is_entry && !enters {
            return;
        }
        self.current.name(name);
        self.matches.counts.matched += usize::from(is_entry);
        if self.is_excluded(name, is_folder) {
            self.matches.counts.pruned += usize::from(enters);
            return;
        }
        if is_entry {
            self.matches.paths.push(&self.pattern.tidy(self.current.path()));
        }
        if enters {
            self.enter(name, resolved, name_match);
        }
    }

    fn is_excluded(&self, name: &[u8], is_folder: bool) -> bool {
        let kind = if is_folder { PathKind::Folder } else { PathKind::Other };
        let excludes = &self.context.excludes;
        !excludes.is_empty() && excludes.is_excluded(name, &self.pattern.tidy(self.current.path()), kind)
    }

    fn enter(&mut self, name: &[u8], resolved: &ResolvedName, name_match: &NameMatch) {
        let is_cycle =
            || resolved.is_link && resolved.identity.is_some_and(|target| self.folder.lies_in(target));
        let mut positions = name_match.onward.clone();
        if !name_match.onward_by_depth.is_empty() && !is_cycle() {
            positions.extend_from_slice(&name_match.onward_by_depth);
        }
        positions.sort_unstable();
        positions.dedup();
        if positions.is_empty() {
            return;
        }
        // The parent that `FOLDER/..` means does not follow from FOLDER.
        let path = self.current.path().to_path_buf();
        let folder = if name == b".." { Folder::start(path) } else { Folder::below(&self.folder, path) };
        self.enter.push(Visit { folder, positions });
    }

    fn unreadable(&mut self, path: &Path) {
        self.matches.unreadable.push(&self.pattern.tidy(path));
    }

    fn folder_is_unreadable(&mut self) {
        self.matches.unreadable.push(&self.pattern.tidy(&self.folder.path));
    }
}

impl NameMatch {
    fn on_name(&mut self, pattern: &PathPattern, positions: &[usize], name: &[u8]) {
        (self.ends, self.ends_but_for_case, self.ends_as_folder) = (false, false, false);
        self.onward.clear();
        self.onward_by_depth.clear();
        let is_hidden = name.starts_with(b".");
        for position in positions {
            match &pattern.steps[*position] {
                PatternStep::AnyDepth if !is_hidden => {
                    self.ends |= pattern.ends_after(*position);
                    self.onward_by_depth.extend(pattern.open_at(*position));
                }
                PatternStep::Names { pattern: names, hidden }
                    if (*hidden || !is_hidden) && names.matches(name) =>
                {
                    self.step_after(pattern, *position);
                }
                PatternStep::Names { pattern: names, hidden } if *hidden || !is_hidden => {
                    self.ends_but_for_case |=
                        pattern.ends_after(*position) && names.matches_but_for_case(name);
                }
                PatternStep::Literal(wanted) if wanted == name => self.step_after(pattern, *position),
                _ => {}
            }
        }
    }

    /// The step at `position` is done.
    fn step_after(&mut self, pattern: &PathPattern, position: usize) {
        if pattern.ends_after(position) {
            self.ends = true;
        } else {
            self.ends_as_folder |= pattern.means_folder_at(position + 1);
            self.onward.extend(pattern.open_at(position + 1));
        }
    }

    fn leads_further(&self) -> bool {
        !(self.onward.is_empty() && self.onward_by_depth.is_empty())
    }
}

impl From<FileInfo> for ResolvedName {
    fn from(info: FileInfo) -> Self {
        Self { kind: info.kind, identity: Some(info.identity), is_link: false }
    }
}
