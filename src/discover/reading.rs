//! Reading one folder for one pattern: which of its names are entries, and which folders to enter with which steps.
//!
//! A folder is listed once, whatever is looked for in it: the positions of the pattern that are open there (`**` keeps
//! itself and what follows it open) are all answered from the same listing. Listed names come with their
//! type, so only links, and file systems that tell no types, cost a question each.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType};

use super::ask::{
    Answer, Identity, Seen, denied_at, listing_ended, look_at, look_in, look_through, open_folder,
};
use super::error::DiscoverError;
use super::exclude::Standing;
use super::folder::Folder;
use super::ground::Ground;
use super::harvest::Harvest;
use super::names::{self, Listed};
use super::path_pattern::{Below, PathPattern, Step, join};

/// A folder to be read, and the positions of the pattern that are open in it.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) folder: Arc<Folder>,
    pub(super) positions: Vec<usize>,
}

/// What a folder gave.
pub(super) struct Reading<'g> {
    ground: &'g Ground<'g>,
    pattern: &'g PathPattern,
    folder: Arc<Folder>,
    pub(super) harvest: Harvest,
    /// Folders to go on with.
    pub(super) enter: Vec<Visit>,
    /// The path of the name at hand.
    at_hand: Below,
}

/// What the pattern makes of a name. Kept from name to name, so that one that does not match costs no memory.
#[derive(Debug, Default)]
struct Verdict {
    /// It is an entry, if it is of the right kind.
    ends: bool,
    /// It is one if it is a folder: the pattern ends with `NAME/**`.
    ends_as_folder: bool,
    /// Positions that are open in it, if it is a folder,
    onward: Vec<usize>,
    /// and those that are if it is not a link back to where it lies.
    onward_by_depth: Vec<usize>,
}

/// What a name stands for.
struct Thing {
    kind: FileType,
    /// Where it was asked for.
    identity: Option<Identity>,
    is_link: bool,
}

impl<'g> Reading<'g> {
    pub(super) fn of(
        ground: &'g Ground<'g>,
        pattern: &'g PathPattern,
        visit: Visit,
    ) -> Result<Self, DiscoverError> {
        let Visit { folder, positions } = visit;
        let at_hand = Below::new(&folder.path);
        let (harvest, enter) = (Harvest::default(), Vec::new());
        let mut reading = Self { ground, pattern, folder, harvest, enter, at_hand };
        let must_list = positions.iter().any(|position| pattern.steps[*position].needs_listing());
        let listed = must_list && reading.list(&positions)?;
        for position in positions {
            if let Step::Literal(name) = &pattern.steps[position]
                && !(listed && pattern.steps[position].is_listed())
            {
                reading.probe(position, name)?;
            }
        }
        let shared = pattern.tidy(&reading.folder.path).as_os_str().len();
        reading.harvest.paths.sort(shared);
        Ok(reading)
    }

    /// Judges all names of the folder; false if it could not be listed.
    fn list(&mut self, positions: &[usize]) -> Result<bool, DiscoverError> {
        let open = match open_folder(&self.folder.path)? {
            Answer::Is(open) => open,
            Answer::Nothing => return Ok(false),
            Answer::Denied => {
                self.folder_is_unreadable();
                return Ok(false);
            }
        };
        let mut verdict = Verdict::default();
        let ended =
            names::each(open.as_fd(), |listed| self.judge(open.as_fd(), listed, positions, &mut verdict))?;
        if let Some(errno) = ended
            && listing_ended(errno, &self.folder.path)? == Answer::Denied
        {
            self.folder_is_unreadable();
        }
        Ok(true)
    }

    fn judge(
        &mut self,
        open: impl AsFd,
        listed: Listed<'_>,
        positions: &[usize],
        verdict: &mut Verdict,
    ) -> Result<(), DiscoverError> {
        let name = listed.name.to_bytes();
        if matches!(name, b"." | b"..") {
            return Ok(());
        }
        verdict.on_name(self.pattern, positions, name);
        let kind = listed.kind;
        let may_be_folder = matches!(kind, FileType::Directory | FileType::Symlink | FileType::Unknown);
        if !(verdict.ends || may_be_folder && verdict.leads_on()) {
            return Ok(());
        }
        if let Some(thing) = self.thing(open, listed, verdict.ends)? {
            self.take(name, &thing, verdict);
        }
        Ok(())
    }

    /// What a listed name stands for, links followed; none if it leads nowhere.
    fn thing(
        &mut self,
        open: impl AsFd,
        listed: Listed<'_>,
        ends: bool,
    ) -> Result<Option<Thing>, DiscoverError> {
        let Listed { name, mut kind, inode } = listed;
        let path = || join(&self.folder.path, name.to_bytes());
        let suspicious = kind == FileType::Directory && self.ground.may_be_results(inode, name.to_bytes());
        if kind == FileType::Unknown || suspicious {
            match look_in(&open, name, AtFlags::SYMLINK_NOFOLLOW, path)? {
                Answer::Is(seen) if seen.kind == FileType::Symlink => kind = FileType::Symlink,
                Answer::Is(seen) => return Ok(Some(Thing::from(seen))),
                Answer::Nothing | Answer::Denied => return Ok(None),
            }
        }
        if kind != FileType::Symlink {
            return Ok(Some(Thing { kind, identity: None, is_link: false }));
        }
        match look_in(&open, name, AtFlags::empty(), path)? {
            Answer::Is(seen) => return Ok(Some(Thing { is_link: true, ..Thing::from(seen) })),
            Answer::Denied => self.unreadable(&path()),
            Answer::Nothing if ends => self.harvest.tally.miss(FileType::Symlink, name.to_bytes(), path),
            Answer::Nothing => {}
        }
        Ok(None)
    }

    /// Goes on with a literal name without listing anything.
    fn probe(&mut self, position: usize, name: &[u8]) -> Result<(), DiscoverError> {
        let path = join(&self.folder.path, name);
        let mut verdict = Verdict::default();
        verdict.step_after(self.pattern, position);
        match look_through(&path)? {
            Answer::Is(seen) => self.take(name, &Thing::from(seen), &verdict),
            Answer::Denied => self.unreadable(&denied_at(&path)),
            Answer::Nothing => {
                if verdict.ends && matches!(look_at(&path)?, Answer::Is(_)) {
                    self.harvest.tally.miss(FileType::Symlink, name, || path);
                }
            }
        }
        Ok(())
    }

    /// Makes of a name what the verdict says, now that its kind is known.
    fn take(&mut self, name: &[u8], thing: &Thing, verdict: &Verdict) {
        if thing.identity.is_some_and(|identity| self.ground.is_results(identity)) {
            self.harvest.tally.in_results = true;
            return;
        }
        let is_folder = thing.kind == FileType::Directory;
        let ends = verdict.ends || is_folder && verdict.ends_as_folder;
        let is_entry = ends && self.ground.wants(thing.kind) && (is_folder || !self.pattern.folders_only);
        if ends && !is_entry {
            self.harvest.tally.miss(thing.kind, name, || join(&self.folder.path, name));
        }
        let enters = is_folder && verdict.leads_on();
        if !is_entry && !enters {
            return;
        }
        self.at_hand.name(name);
        self.harvest.tally.matched += usize::from(is_entry);
        if self.is_excluded(name, is_folder) {
            self.harvest.tally.pruned += usize::from(enters);
            return;
        }
        if is_entry {
            self.harvest.paths.push(&self.pattern.tidy(self.at_hand.path()));
        }
        if enters {
            self.enter(name, thing, verdict);
        }
    }

    fn is_excluded(&self, name: &[u8], is_folder: bool) -> bool {
        let standing = if is_folder { Standing::Folder } else { Standing::Other };
        let excludes = &self.ground.excludes;
        !excludes.is_empty() && excludes.takes(name, &self.pattern.tidy(self.at_hand.path()), standing)
    }

    fn enter(&mut self, name: &[u8], thing: &Thing, verdict: &Verdict) {
        let goes_round = || thing.is_link && thing.identity.is_some_and(|target| self.folder.lies_in(target));
        let mut positions = verdict.onward.clone();
        if !verdict.onward_by_depth.is_empty() && !goes_round() {
            positions.extend_from_slice(&verdict.onward_by_depth);
        }
        positions.sort_unstable();
        positions.dedup();
        if positions.is_empty() {
            return;
        }
        // What lies above `FOLDER/..` can't be told from FOLDER.
        let path = self.at_hand.path().to_path_buf();
        let folder = if name == b".." { Folder::start(path) } else { Folder::below(&self.folder, path) };
        self.enter.push(Visit { folder, positions });
    }

    fn unreadable(&mut self, path: &Path) {
        self.harvest.unreadable.push(&self.pattern.tidy(path));
    }

    fn folder_is_unreadable(&mut self) {
        self.harvest.unreadable.push(&self.pattern.tidy(&self.folder.path));
    }
}

impl Verdict {
    fn on_name(&mut self, pattern: &PathPattern, positions: &[usize], name: &[u8]) {
        (self.ends, self.ends_as_folder) = (false, false);
        self.onward.clear();
        self.onward_by_depth.clear();
        let is_hidden = name.starts_with(b".");
        for position in positions {
            match &pattern.steps[*position] {
                Step::AnyDepth if !is_hidden => {
                    self.ends |= pattern.ends_after(*position);
                    self.onward_by_depth.extend(pattern.open_at(*position));
                }
                Step::Names { pattern: names, hidden } if (*hidden || !is_hidden) && names.matches(name) => {
                    self.step_after(pattern, *position);
                }
                Step::Literal(wanted) if wanted == name => self.step_after(pattern, *position),
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

    fn leads_on(&self) -> bool {
        !(self.onward.is_empty() && self.onward_by_depth.is_empty())
    }
}

impl From<Seen> for Thing {
    fn from(seen: Seen) -> Self {
        Self { kind: seen.kind, identity: Some(seen.identity), is_link: false }
    }
}
