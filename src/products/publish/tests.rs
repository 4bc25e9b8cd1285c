use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{FolderSyncs, NotPublished, PublishGuard, Publishing, StagedProducts, Unpublished};
use crate::journal::event::PublishingBegun;
use crate::model::entries::Entry;
use crate::model::product::{Checksum, DirectoryId, ProductKind};
use crate::products::declared::DeclaredProducts;
use crate::products::look::directory_id;
use crate::record::inputs::{DeclaredProduct, InputSpec};

/// A task that is this launch's until it is said to be lost, and that does something as it is asked.
struct Owner<'a> {
    owns: Cell<bool>,
    is_first_holder: bool,
    made: RefCell<BTreeSet<DirectoryId>>,
    when_asked: &'a dyn Fn(),
}

impl Owner<'_> {
    fn new() -> Self {
        Self { owns: Cell::new(true), is_first_holder: true, made: RefCell::default(), when_asked: &|| {} }
    }
}

impl PublishGuard for Owner<'_> {
    fn check_owner(&self) -> Result<(), Unpublished> {
        let owns = self.owns.get();
        (self.when_asked)();
        if owns { Ok(()) } else { Err(Unpublished::Lost) }
    }

    fn is_first_holder(&self) -> bool {
        self.is_first_holder
    }

    fn announce_directories(&self, directories: &[DirectoryId]) -> io::Result<()> {
        self.made.borrow_mut().extend(directories);
        Ok(())
    }

    fn has_made(&self, directory: DirectoryId) -> bool {
        self.made.borrow().iter().any(|made| made.may_be(directory))
    }
}

fn declared(folder: &Path, products: &[(Option<&str>, &str)]) -> DeclaredProducts {
    let declare = |(name, path): &(Option<&str>, &str)| DeclaredProduct {
        name: name.map(str::to_owned),
        path: OsStr::new(path).into(),
    };
    let products: Vec<DeclaredProduct> = products.iter().map(declare).collect();
    let source = InputSpec::List { file: OsStr::new("-").into(), null: false };
    DeclaredProducts::new(&products, &source, folder).unwrap()
}

/// One attempt of task 7, which writes what `write` writes, given its first path.
fn attempt(
    publishing: &Publishing<'_>,
    number: u32,
    owner: &Owner<'_>,
    write: impl FnOnce(&[PathBuf]),
) -> Result<super::PublishedProducts, NotPublished> {
    let mut slot = publishing.slot();
    let staged = slot.stage(Entry::of("/data/a.fits"), (7, number), owner)?;
    write(staged.outs());
    publishing.publish(staged, owner, &|| false)
}

/// What an attempt does, given its path.
type Writes<'a> = &'a dyn Fn(&Path);

fn why_failed(not: Result<super::PublishedProducts, NotPublished>) -> String {
    match not.unwrap_err() {
        NotPublished::Failed(failure) => failure.message,
        NotPublished::Unpublished(why) => panic!("{why:?}"),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn directory_at(path: &Path) -> Option<DirectoryId> {
    path.metadata().ok().map(|there| directory_id(path, there.ino()))
}

fn write_set(folder: &Path, text: &str) {
    fs::create_dir_all(folder.join("sub")).unwrap();
    fs::write(folder.join("sub/table"), text).unwrap();
}

#[test]
fn products_get_their_names_when_the_attempt_is_over_and_nothing_else_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let products = declared(
        folder.path(),
        &[(None, "x/{/.}.cat"), (Some("fit"), "x/{/.}.fit"), (Some("log"), "y/{index}")],
    );
    let publishing = Publishing::new(&products, Checksum::Sha256, "r", 1, 1);
    let published = attempt(&publishing, 1, &Owner::new(), |outs| {
        let outs: Vec<&Path> = outs.iter().map(PathBuf::as_path).collect();
        assert_eq!(outs[0], folder.path().join("x/.canfar-run-r/7.1.1.1/a.cat"));
        assert_eq!(outs[1].file_name().unwrap(), "a.fit");
        outs.iter().for_each(|out| fs::write(out, "abc").unwrap());
        assert_eq!(names(&folder.path().join("x")), [".canfar-run-r"]);
    });
    let published = published.unwrap();
    assert!(published.others.is_empty());
    let has_next = attempt(&publishing, 1, &Owner::new(), |outs| {
        assert_eq!(names(&folder.path().join("x/.canfar-run-r")), ["7.1.1.1"], "the folder is used again");
        outs.iter().for_each(|out| fs::write(out, "abc").unwrap());
    });
    assert!(has_next.is_ok());
    drop(publishing);
    assert_eq!(names(&folder.path().join("x")), ["a.cat", "a.fit"]);
    assert_eq!(names(&folder.path().join("y")), ["7"]);
    let [first, second, third] = &published.products[..] else { panic!("{published:?}") };
    assert_eq!(
        (first.name.as_deref(), second.name.as_deref(), third.name.as_deref()),
        (None, Some("fit"), Some("log"))
    );
    assert_eq!((first.bytes, first.kind), (3, ProductKind::File));
    assert!(first.sha256.as_ref().unwrap().starts_with("ba7816bf"), "{first:?}");
}

#[test]
fn what_is_no_product_fails_the_task_and_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let products = declared(folder.path(), &[(None, "{/.}.cat")]);
    let publishing = Publishing::new(&products, Checksum::None, "r", 1, 1);
    let place = folder.path().join("a.cat");
    let cases: [(Writes<'_>, &str); 7] = [
        (&|_| {}, "wrote nothing to {out}"),
        (&|out| fs::write(out, "").unwrap(), "is empty"),
        (&|out| fs::create_dir(out).unwrap(), "is an empty directory"),
        (&|out| std::os::unix::fs::symlink("/etc/passwd", out).unwrap(), "is a symbolic link"),
        (&|out| drop(std::os::unix::net::UnixListener::bind(out).unwrap()), "is a socket"),
        (&|_| fs::write(&place, "x").unwrap(), "wrote to the product's final path itself: give it {out}"),
        (&|out| fs::remove_dir(out.parent().unwrap()).unwrap(), "wrote nothing to {out}"),
    ];
    for (number, (write, why)) in (1..).zip(cases) {
        let failed = attempt(&publishing, number, &Owner::new(), |outs| write(&outs[0]));
        let message = why_failed(failed);
        assert!(message.contains(why), "{message}");
        let _ = fs::remove_file(&place);
        assert!(names(folder.path()).is_empty(), "{why}: {:?}", names(folder.path()));
    }
}

#[test]
fn other_files_are_named_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let products = declared(folder.path(), &[(None, "{/.}.cat")]);
    let publishing = Publishing::new(&products, Checksum::None, "r", 1, 1);
    let published = attempt(&publishing, 1, &Owner::new(), |outs| {
        fs::write(&outs[0], "x").unwrap();
        write_set(&outs[0].with_extension("aux"), "x");
    });
    assert_eq!(published.unwrap().others, ["a.aux"]);
    assert_eq!(names(folder.path()), ["a.cat"]);
}

#[test]
fn a_task_that_was_lost_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let products = declared(folder.path(), &[(None, "{/.}.cat")]);
    let publishing = Publishing::new(&products, Checksum::None, "r", 1, 1);
    let place = folder.path().join("a.cat");
    fs::write(&place, "theirs").unwrap();
    let owner = Owner::new();
    owner.owns.set(false);
    let lost = attempt(&publishing, 1, &owner, |outs| fs::write(&outs[0], "mine").unwrap());
    assert!(matches!(lost, Err(NotPublished::Unpublished(Unpublished::Lost))), "{lost:?}");
    assert_eq!(
        (fs::read(&place).unwrap(), names(folder.path())),
        (b"theirs".to_vec(), vec!["a.cat".to_owned()])
    );
}

/// Its successor has removed what it was writing: that there is nothing is no failure of the task.
#[test]
fn a_task_that_was_lost_does_not_fail() {
    let folder = tempfile::tempdir().unwrap();
    let products = declared(folder.path(), &[(None, "{/.}.cat")]);
    let publishing = Publishing::new(&products, Checksum::None, "r", 1, 1);
    let owner = Owner::new();
    let lost = attempt(&publishing, 1, &owner, |_| owner.owns.set(false));
    assert!(matches!(lost, Err(NotPublished::Unpublished(Unpublished::Lost))), "{lost:?}");
    fs::create_dir(folder.path().join("a.cat")).unwrap();
    let lost = attempt(&publishing, 1, &owner, |_| panic!("the attempt is not made"));
    assert!(matches!(lost, Err(NotPublished::Unpublished(Unpublished::Lost))), "{lost:?}");
}

#[test]
fn who_lost_the_task_removes_nothing_of_its_successor() {
    let folder = tempfile::tempdir().unwrap();
    let products = declared(folder.path(), &[(None, "{/.}.cat")]);
    let publishing = Publishing::new(&products, Checksum::None, "r", 1, 1);
    let theirs = folder.path().join(".canfar-run-r/7.2.1.3/a.cat");
    write_set(&theirs, "theirs");
    let owner = Owner::new();
    owner.owns.set(false);
    let lost = attempt(&publishing, 2, &owner, |_| panic!("the attempt is not made"));
    assert!(matches!(lost, Err(NotPublished::Unpublished(Unpublished::Lost))), "{lost:?}");
    assert_eq!(fs::read_to_string(theirs.join("sub/table")).unwrap(), "theirs");
}

/// An input that is given by another path than the product's is not replaced.
#[test]
fn the_task_s_own_input_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let alias = folder.path().join("alias");
    fs::create_dir(folder.path().join("raw")).unwrap();
    std::os::unix::fs::symlink("raw", &alias).unwrap();
    fs::write(folder.path().join("raw/a.fits"), "raw").unwrap();
    let products = declared(folder.path(), &[(None, "raw/{/}")]);
    let publishing = Publishing::new(&products, Checksum::None, "r", 1, 1);
    let mut slot = publishing.slot();
    let not = slot.stage(Entry::of(&alias.join("a.fits")), (7, 1), &Owner::new()).unwrap_err();
    let NotPublished::Failed(failure) = not else { panic!("{not:?}") };
    assert!(failure.message.contains("the task's own input file"), "{failure:?}");
}

#[test]
fn all_that_stopped_attempts_wrote_is_removed_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let products = declared(folder.path(), &[(None, "{index}")]);
    let publishing = Publishing::new(&products, Checksum::None, "r", 1, 1);
    let mut slot = publishing.slot();
    for index in [7, 8] {
        let staged = slot.stage(Entry::of("/data/a.fits"), (index, 1), &Owner::new()).unwrap();
        fs::write(&staged.outs()[0], "x").unwrap();
        slot.remove_later(staged);
    }
    let overdue = slot.stage(Entry::of("/data/a.fits"), (9, 1), &Owner::new()).unwrap();
    fs::write(&overdue.outs()[0], "x").unwrap();
    let stopped = publishing.publish(overdue, &Owner::new(), &|| true).unwrap_err();
    assert!(matches!(stopped, NotPublished::Unpublished(Unpublished::Stopped)), "{stopped:?}");
    drop(slot);
    assert_eq!(names(&folder.path().join(".canfar-run-r")).len(), 3);
    drop(publishing);
    assert!(names(folder.path()).is_empty());
}

/// Who looks whether the task is its own, and is then frozen until another launch has done all of it, puts nothing anywhere.
#[test]
fn whoever_wakes_up_after_its_task_was_done_elsewhere_changes_nothing() {
    for is_set in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let products = declared(folder.path(), &[(None, "{/.}.cat")]);
        let write = |outs: &[PathBuf], text: &str| {
            if is_set { write_set(&outs[0], text) } else { fs::write(&outs[0], text).unwrap() }
        };
        let first = Publishing::new(&products, Checksum::None, "r", 1, 1);
        let second = Publishing::new(&products, Checksum::None, "r", 2, 1);
        let before = Owner::new();
        attempt(&first, 1, &before, |outs| write(outs, "before")).unwrap();
        let there = directory_at(&folder.path().join("a.cat")).unwrap();
        let other = Owner { made: RefCell::new(BTreeSet::from([there])), ..Owner::new() };
        let is_frozen = Cell::new(true);
        let do_it_elsewhere = || {
            if is_frozen.replace(false) {
                attempt(&second, 3, &other, |outs| write(outs, "theirs")).unwrap();
            }
        };
        let frozen = Owner { when_asked: &do_it_elsewhere, made: before.made, ..Owner::new() };
        let woken = attempt(&first, 2, &frozen, |outs| write(outs, "mine"));
        assert!(woken.is_err(), "{woken:?}");
        let file = if is_set { "a.cat/sub/table" } else { "a.cat" };
        assert_eq!(fs::read_to_string(folder.path().join(file)).unwrap(), "theirs");
        assert_eq!(names(folder.path()), ["a.cat"]);
    }
}

#[test]
fn a_directory_takes_the_place_of_one_that_the_task_made_and_of_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let products = declared(folder.path(), &[(None, "{/.}.ms")]);
    let publishing = Publishing::new(&products, Checksum::Sha256, "r", 1, 1);
    let place = folder.path().join("a.ms");
    let owner = Owner::new();
    for (number, text) in [(1, "one"), (2, "other")] {
        let published = attempt(&publishing, number, &owner, |outs| write_set(&outs[0], text)).unwrap();
        assert_eq!(fs::read_to_string(place.join("sub/table")).unwrap(), text);
        assert_eq!(
            (published.products[0].kind, published.products[0].bytes),
            (ProductKind::Dir, text.len() as u64)
        );
    }
    let message = why_failed(attempt(&publishing, 3, &Owner::new(), |_| panic!("the attempt is not made")));
    assert!(message.contains("is a directory that this run did not make"), "{message}");
    drop(publishing);
    assert_eq!((names(folder.path()), names(&place)), (vec!["a.ms".to_owned()], vec!["sub".to_owned()]));
}

/// Whoever ran the task before may have been killed with its host, and the journal that told so be lost.
#[test]
fn what_another_launch_left_is_removed_also_where_no_attempt_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let products = declared(folder.path(), &[(None, "{/.}.cat")]);
    let left = folder.path().join(".canfar-run-r/7.1.1.1");
    for (is_first_holder, is_removed) in [(true, false), (false, true)] {
        write_set(&left, "half");
        let owner = Owner { is_first_holder, ..Owner::new() };
        let publishing = Publishing::new(&products, Checksum::None, "r", 1, 2);
        attempt(&publishing, 1, &owner, |outs| fs::write(&outs[0], "whole").unwrap()).unwrap();
        assert_eq!(left.exists(), !is_removed);
    }
    assert_eq!(names(folder.path()), ["a.cat"]);
}

/// The numbers of directories that were removed are used again, for directories of anyone.
#[test]
fn a_directory_is_our_own_only_if_it_was_made_when_ours_was() {
    let folder = tempfile::tempdir().unwrap();
    let there = directory_at(folder.path()).unwrap();
    // Not every file system tells it.
    let born = there.born.unwrap_or_default();
    let there = DirectoryId { born: Some(born), ..there };
    let other = DirectoryId { born: Some(born - jiff::SignedDuration::from_nanos(1)), ..there };
    let untold = DirectoryId { born: None, ..there };
    assert_eq!([there, untold, other].map(|known| known.may_be(there)), [true, true, false]);
    let [new, old] = [other, untold].map(|known| PublishingBegun::new(7, &[known]));
    assert_eq!(
        old,
        serde_json::from_str(&format!("{{\"index\":7,\"directories\":[{}]}}", there.inode)).unwrap()
    );
    for (noted, is_ours) in [(&new, false), (&old, true)] {
        let read: PublishingBegun = serde_json::from_str(&serde_json::to_string(noted).unwrap()).unwrap();
        assert_eq!(&read, noted);
        assert_eq!(read.directories().any(|known| known.may_be(there)), is_ours);
    }
    let renamed = folder.path().join("a");
    fs::create_dir(folder.path().join("b")).unwrap();
    let before = directory_at(&folder.path().join("b"));
    fs::rename(folder.path().join("b"), &renamed).unwrap();
    assert_eq!(directory_at(&renamed), before);
}

#[test]
fn where_a_later_product_can_not_be_published_nothing_that_an_earlier_one_replaced_stays_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let products = declared(folder.path(), &[(None, "a.ms"), (Some("log"), "a.log")]);
    let publishing = Publishing::new(&products, Checksum::None, "r", 1, 1);
    let owner = Owner::new();
    let write = |outs: &[PathBuf]| {
        write_set(&outs[0], "set");
        fs::write(&outs[1], "log").unwrap();
    };
    attempt(&publishing, 1, &owner, write).unwrap();
    let log = folder.path().join("a.log");
    fs::remove_file(&log).unwrap();
    // Somebody makes a folder of that name when all is looked at.
    let obstruct = || fs::create_dir_all(log.join("theirs")).unwrap();
    let obstructed = Owner { when_asked: &obstruct, made: owner.made, ..Owner::new() };
    let message = why_failed(attempt(&publishing, 2, &obstructed, write));
    assert!(message.contains("a.log"), "{message}");
    assert_eq!(names(folder.path()), ["a.log", "a.ms"], "{message}");
}

#[test]
fn names_in_a_folder_that_can_t_be_synced_do_not_last() {
    let folder = tempfile::tempdir().unwrap();
    let products = declared(folder.path(), &[(None, "sub/{/.}.cat")]);
    let publishing = Publishing::new(&products, Checksum::None, "r", 1, 1);
    let owner = Owner::new();
    let published = attempt(&publishing, 1, &owner, |outs| fs::write(&outs[0], "x").unwrap()).unwrap();
    assert!(FolderSyncs::of([&published].into_iter(), &|| false).check(&published, &owner).is_ok());
    let late = FolderSyncs::of([&published].into_iter(), &|| true).check(&published, &owner);
    assert!(matches!(late, Err(NotPublished::Unpublished(Unpublished::Stopped))), "{late:?}");
    fs::remove_dir_all(folder.path().join("sub")).unwrap();
    let not = FolderSyncs::of([&published].into_iter(), &|| false).check(&published, &owner).unwrap_err();
    let NotPublished::Failed(failure) = not else { panic!("{not:?}") };
    assert!(failure.message.contains("can't sync the folder"), "{}", failure.message);
    owner.owns.set(false);
    let lost = FolderSyncs::of([&published].into_iter(), &|| false).check(&published, &owner);
    assert!(matches!(lost, Err(NotPublished::Unpublished(Unpublished::Lost))), "{lost:?}");
}

/// Whatever a killed exchange leaves, the next attempt begins with the old directory, or the new one, whole in its place.
#[test]
fn what_an_exchange_left_is_undone_or_finished() {
    for (is_back, is_there) in [(false, false), (false, true), (true, true)] {
        let folder = tempfile::tempdir().unwrap();
        let products = declared(folder.path(), &[(None, "{/.}.ms")]);
        let publishing = Publishing::new(&products, Checksum::None, "r", 1, 2);
        let (place, shared) = (folder.path().join("a.ms"), folder.path().join(".canfar-run-r"));
        write_set(&shared.join("7.1.1.1/a.ms"), "new");
        fs::create_dir(shared.join("7.1.1.1.old")).unwrap();
        if !is_back {
            write_set(&shared.join("7.1.1.1.old/a.ms"), "old");
        }
        if is_there {
            write_set(&place, if is_back { "old" } else { "new" });
        }
        write_set(&shared.join("77.1.1.1/a.ms"), "another task's");
        let owner = Owner::new();
        owner
            .made
            .borrow_mut()
            .extend(directory_at(&place).or_else(|| directory_at(&shared.join("7.1.1.1.old/a.ms"))));
        let mut slot = publishing.slot();
        let staged: StagedProducts = slot.stage(Entry::of("/data/a.fits"), (7, 2), &owner).unwrap();
        let expected = if is_there && !is_back { "new" } else { "old" };
        assert_eq!(fs::read_to_string(place.join("sub/table")).unwrap(), expected);
        assert_eq!(names(&shared), ["7.1.2.2", "77.1.1.1"]);
        staged.remove();
    }
}
