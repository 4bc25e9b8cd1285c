//! Plain paths of which many lie in one folder, as where a shell expanded a glob: one listing of the folder tells of all of
//! them what would be a question each.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rayon::ThreadPool;
use rayon::prelude::*;
use rustix::fs::FileType;

use super::ask::{Answer, open_folder};
use super::exclude::Standing;
use super::ground::Ground;
use super::names;
use super::path_list::PathList;
use super::path_pattern::{Below, clean, has_magic, join};
use super::search::{EntryType, Search};

/// For fewer paths in a folder it is not listed.
const FEWEST: usize = 64;

/// A listing ends at so many other names for each one that is looked for.
const MOST_OTHERS: usize = 16;

/// What the listings told.
#[derive(Debug, Default)]
pub(super) struct ListedFiles {
    /// Of each argument, whether it is a regular file. Of the others nothing is known.
    pub(super) is_file: Vec<bool>,
    /// Those that are not excluded, each list sorted.
    pub(super) paths: Vec<PathList>,
    /// How many there are, those that are excluded as well.
    pub(super) matched: usize,
}

/// Paths that are regular files, as far as listings tell. What goes wrong here will again where they are asked for by
/// themselves.
pub(super) fn listed_files(search: &Search, cwd: &Path, ground: &Ground, pool: &ThreadPool) -> ListedFiles {
    let mut told = ListedFiles { is_file: vec![false; search.patterns.len()], ..ListedFiles::default() };
    if search.entry_type != EntryType::File || search.patterns.len() < FEWEST {
        return told;
    }
    let groups: Vec<Group> = groups(search, cwd);
    let files: Vec<(PathList, Vec<usize>)> =
        pool.install(|| groups.par_iter().filter_map(|group| group.files(ground)).collect());
    for (paths, arguments) in files {
        told.matched += arguments.len();
        told.paths.push(paths);
        arguments.into_iter().for_each(|argument| told.is_file[argument] = true);
    }
    told
}

/// Arguments that are names in one folder.
struct Group<'s> {
    /// Clean.
    folder: PathBuf,
    names: Vec<(&'s [u8], usize)>,
}

fn groups<'s>(search: &'s Search, cwd: &Path) -> Vec<Group<'s>> {
    let mut groups: HashMap<&[u8], Vec<(&[u8], usize)>> = HashMap::new();
    for (place, argument) in search.patterns.iter().enumerate() {
        let bytes = argument.0.as_bytes();
        let (folder, name) = bytes.split_at(memchr::memrchr(b'/', bytes).map_or(0, |slash| slash + 1));
        if !(has_magic(bytes) || matches!(name, b"" | b"." | b"..")) {
            groups.entry(folder).or_default().push((name, place));
        }
    }
    groups.retain(|_, names| names.len() >= FEWEST);
    let absolute = |folder: &[u8]| {
        // A second slash in a row means nothing.
        clean(&join(if folder.starts_with(b"/") { Path::new("/") } else { cwd }, folder))
    };
    groups.into_iter().map(|(folder, names)| Group { folder: absolute(folder), names }).collect()
}

impl Group<'_> {
    /// Those that are regular files: their paths and which arguments they are.
    fn files(&self, ground: &Ground) -> Option<(PathList, Vec<usize>)> {
        let is_passed_over = ground.is_over()
            || ground.lies_in_results(&self.folder)
            || ground.excludes.takes_way_to(&self.folder);
        if is_passed_over {
            return None;
        }
        let Ok(Answer::Is(open)) = open_folder(&self.folder) else { return None };
        let mut is_file: HashMap<&[u8], bool> = self.names.iter().map(|(name, _)| (*name, false)).collect();
        let mut others_left = MOST_OTHERS * is_file.len();
        let listing = names::each(open.as_fd(), |listed| {
            match is_file.get_mut(listed.name.to_bytes()) {
                Some(is_file) => *is_file = listed.kind == FileType::RegularFile,
                None => others_left = others_left.checked_sub(1).ok_or(())?,
            }
            Ok(())
        });
        // However it ended, what it told is so.
        let (Ok(_) | Err(())) = listing;
        let files: Vec<_> = self.names.iter().filter(|(name, _)| is_file.get(name) == Some(&true)).collect();
        let (mut paths, mut path) = (PathList::default(), Below::new(&self.folder));
        for (name, _) in &files {
            path.name(name);
            if !ground.excludes.takes(name, path.path(), Standing::Other) {
                paths.push(path.path());
            }
        }
        paths.sort(self.folder.as_os_str().len());
        Some((paths, files.into_iter().map(|(_, argument)| *argument).collect()))
    }
}
