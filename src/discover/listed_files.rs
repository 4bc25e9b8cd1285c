//! Many plain paths in one folder, such as a glob that a shell has expanded: one listing of the folder replaces
//! a system call for each of them.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rayon::ThreadPool;
use rayon::prelude::*;
use rustix::fs::FileType;

use super::ask::{Answer, open_folder};
use super::context::SearchContext;
use super::exclude::PathKind;
use super::list_names;
use super::path_list::PathList;
use super::path_pattern::{Below, clean, has_magic, join};
use super::search::{EntryType, Search};

/// A folder is listed only for at least this many paths in it.
const FEWEST: usize = 64;

/// The listing ends after this many other names for each name that is looked for.
const MOST_OTHERS: usize = 16;

/// What the listings have shown.
#[derive(Debug, Default)]
pub(super) struct ListedFiles {
    /// Whether each argument is known to be a regular file; nothing is known about the others.
    pub(super) is_file: Vec<bool>,
    /// The files that are not excluded; each list is sorted.
    pub(super) paths: Vec<PathList>,
    /// How many files there are, including excluded ones.
    pub(super) matched: usize,
}

/// The paths that are regular files according to listings. Errors are left to the walk, which will meet them again.
pub(super) fn listed_files(
    search: &Search,
    cwd: &Path,
    context: &SearchContext,
    pool: &ThreadPool,
) -> ListedFiles {
    let mut told = ListedFiles { is_file: vec![false; search.patterns.len()], ..ListedFiles::default() };
    if search.entry_type != EntryType::File || search.patterns.len() < FEWEST {
        return told;
    }
    let groups: Vec<Group> = groups(search, cwd);
    let files: Vec<(PathList, Vec<usize>)> =
        pool.install(|| groups.par_iter().filter_map(|group| group.files(context)).collect());
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
        // A repeated slash means the same as one.
        clean(&join(if folder.starts_with(b"/") { Path::new("/") } else { cwd }, folder))
    };
    groups.into_iter().map(|(folder, names)| Group { folder: absolute(folder), names }).collect()
}

impl Group<'_> {
    /// The regular files among them: their paths, and the places of their arguments.
    fn files(&self, context: &SearchContext) -> Option<(PathList, Vec<usize>)> {
        let is_passed_over = context.is_over()
            || context.is_in_results(&self.folder)
            || context.excludes.is_way_excluded(&self.folder);
        if is_passed_over {
            return None;
        }
        let Ok(Answer::Is(open)) = open_folder(&self.folder) else { return None };
        let mut is_file: HashMap<&[u8], bool> = self.names.iter().map(|(name, _)| (*name, false)).collect();
        let mut others_left = MOST_OTHERS * is_file.len();
        let listing = list_names::each(open.as_fd(), |listed| {
            match is_file.get_mut(listed.name.to_bytes()) {
                Some(is_file) => *is_file = listed.kind == FileType::RegularFile,
                None => others_left = others_left.checked_sub(1).ok_or(())?,
            }
            Ok(())
        });
        // However the listing ended, what it has shown is true.
        let (Ok(_) | Err(())) = listing;
        let files: Vec<_> = self.names.iter().filter(|(name, _)| is_file.get(name) == Some(&true)).collect();
        let (mut paths, mut path) = (PathList::default(), Below::new(&self.folder));
        for (name, _) in &files {
            path.name(name);
            if !context.excludes.is_excluded(name, path.path(), PathKind::Other) {
                paths.push(path.path());
            }
        }
        paths.sort(self.folder.as_os_str().len());
        Some((paths, files.into_iter().map(|(_, argument)| *argument).collect()))
    }
}
