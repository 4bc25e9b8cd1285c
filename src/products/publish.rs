//! Publishing what an attempt made: each product gets its final name complete, synced, and only while the task still belongs to this
//! launch. Before the attempt, its folder is made, and whatever an earlier attempt left is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::CWD;

use crate::host::shortage;
use crate::host::storage::{StorageError, StorageTrouble};
use crate::model::entries::Entry;
use crate::model::outcome::{Cause, Failure};
use crate::model::product::{Checksum, DirectoryId, Product, ProductKind, ProductLook, changed_at};
use crate::products::declared::DeclaredProducts;
use crate::products::exchange;
use crate::products::look::directory_id;
use crate::products::made::{MadeProduct, Sealing, seal};
use crate::products::staging::{
    AttemptName, FileError, SharedFolder, StagingFolder, shared_name, sync_folder,
};
use crate::threads::{CpuPool, locked};
use crate::units;

/// What publishing needs of the launch.
pub trait PublishGuard {
    /// Checks again whether the task still belongs to this launch.
    ///
    /// # Errors
    /// When it does not, that is unknown, or the launch may no longer write.
    fn check_owner(&self) -> Result<(), Unpublished>;

    /// Whether no other launch can have had the task before, not even one without a journal any more.
    fn is_first_holder(&self) -> bool;

    /// Notes, so that it lasts, that these directories are about to get their final names.
    ///
    /// # Errors
    /// When it can't be noted: then they must not get them.
    fn announce_directories(&self, directories: &[DirectoryId]) -> io::Result<()>;

    /// Whether this directory was made by an attempt of the task in this run.
    fn has_made(&self, directory: DirectoryId) -> bool;
}

/// Why an attempt's products are not published, or the attempt can't be made.
#[derive(Debug)]
pub enum NotPublished {
    /// For something that the task did: it fails.
    Failed(Failure),
    /// For something else: the task gets no record.
    Unpublished(Unpublished),
}

/// Why nothing comes of an attempt that is no failure.
#[derive(Debug)]
pub enum Unpublished {
    /// For something that is wrong with the storage, and would be for other tasks.
    CannotStore(StorageError),
    /// The system is short of descriptors or memory: to be tried again later.
    Short(FileError),
    /// The task is another launch's by now.
    Lost,
    /// The launch ends before storage shows which launch owns the task.
    OwnerUnknown,
    /// The launch must stop, and there was no time left for it.
    Stopped,
    /// The launch may not write any more, or can't.
    CannotRecord(io::Error),
}

impl From<FileError> for NotPublished {
    fn from(error: FileError) -> Self {
        Self::from(&error)
    }
}

impl From<&FileError> for NotPublished {
    fn from(error: &FileError) -> Self {
        if shortage::is_shortage(&error.error) {
            return Unpublished::Short(error.again()).into();
        }
        let trouble = StorageTrouble::of(&error.error);
        match trouble {
            StorageTrouble::Full
            | StorageTrouble::Quota
            | StorageTrouble::ReadOnly
            | StorageTrouble::Denied
            | StorageTrouble::Gone => {
                Unpublished::CannotStore(StorageError { text: error.to_string(), trouble }).into()
            }
            StorageTrouble::FileTooLarge | StorageTrouble::Removed | StorageTrouble::Other => {
                failed(error.to_string())
            }
        }
    }
}

impl From<Unpublished> for NotPublished {
    fn from(why: Unpublished) -> Self {
        Self::Unpublished(why)
    }
}

impl NotPublished {
    /// A task that another launch has taken over did not fail here: the other one has removed what was written.
    fn unless_lost(self, guard: &dyn PublishGuard) -> Self {
        match self {
            Self::Failed(_) => guard.check_owner().map_or_else(Self::Unpublished, |()| self),
            Self::Unpublished(_) => self,
        }
    }
}

pub(super) fn failed(message: String) -> NotPublished {
    NotPublished::Failed(Failure { cause: Cause::Product, message })
}

/// How the products of a launch's tasks are published. When this is dropped, what was put off is removed.
#[derive(Debug)]
pub struct Publishing<'a> {
    declared: &'a DeclaredProducts,
    checksum: Checksum,
    /// Whether the command names where to write.
    has_out: bool,
    shared_name: String,
    replica: u32,
    launch: u32,
    /// Files of attempts that were stopped with this process: removing them may take long, and results must be written first.
    stopped: Mutex<Vec<StagedProducts>>,
}

impl<'a> Publishing<'a> {
    /// Of a replica's launch of a run.
    pub fn new(
        declared: &'a DeclaredProducts,
        checksum: Checksum,
        run: &str,
        replica: u32,
        launch: u32,
    ) -> Self {
        let (shared_name, stopped) = (shared_name(run), Mutex::default());
        Self { declared, checksum, has_out: true, shared_name, replica, launch, stopped }
    }

    /// The same of a command that names no place to write to, as far as `has_out` is false: messages say so.
    #[must_use]
    pub fn of_command_with_out(mut self, has_out: bool) -> Self {
        self.has_out = has_out;
        self
    }

    /// For a slot, which makes one attempt after the other.
    pub fn slot(&self) -> PublishingSlot<'_> {
        PublishingSlot { publishing: self, shared: Vec::new() }
    }

    /// Gives what an attempt that was ok has made its final names, which last once [`FolderSyncs`] has synced their folders;
    /// nothing of it is left in its own folders, whatever comes of it. Before it has its name it is given up once it
    /// `should_stop`, and removed at the end.
    ///
    /// # Errors
    /// When a product is not as it has to be, can't be published, or the task is not this launch's any more.
    pub fn publish(
        &self,
        staged: StagedProducts,
        guard: &dyn PublishGuard,
        should_stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<PublishedProducts, NotPublished> {
        let how = Sealing { checksum: self.checksum, has_out: self.has_out, should_stop };
        staged.publish(&how, guard).map_err(|not| match not {
            NotPublished::Unpublished(Unpublished::Stopped) => {
                self.remove_later(staged);
                not
            }
            not => {
                staged.remove();
                not.unless_lost(guard)
            }
        })
    }

    /// Keeps what an attempt wrote that was stopped with this process until the launch has written its results.
    pub fn remove_later(&self, staged: StagedProducts) {
        locked(&self.stopped).push(staged);
    }
}

impl Drop for Publishing<'_> {
    fn drop(&mut self) {
        locked(&self.stopped).iter().for_each(StagedProducts::remove);
    }
}

/// Makes names last that products got: each folder is synced once, whatever got a name in it.
#[derive(Debug)]
pub struct FolderSyncs(BTreeMap<PathBuf, Result<(), NotSynced>>);

/// Why a folder is not synced.
#[derive(Debug)]
enum NotSynced {
    Failed(FileError),
    /// There was no time left for it.
    Stopped,
}

impl FolderSyncs {
    /// Of all folders in which products of these attempts have their names, until it `should_stop`. Where the system is short
    /// of descriptors or memory it is tried again.
    pub fn of<'s>(
        all: impl Iterator<Item = &'s PublishedProducts>,
        should_stop: &(dyn Fn() -> bool + Sync),
    ) -> Self {
        let folders: BTreeSet<&Path> =
            all.flat_map(|published| &published.places).map(PathBuf::as_path).collect();
        let go_on = || if should_stop() { Err(NotSynced::Stopped) } else { Ok(()) };
        let is_short =
            |not: &NotSynced| matches!(not, NotSynced::Failed(error) if shortage::is_shortage(&error.error));
        let sync = |folder: &Path| {
            let attempt = || sync_folder(folder).map_err(NotSynced::Failed);
            let synced = go_on().and_then(|()| shortage::patiently(attempt, is_short, go_on));
            (folder.to_owned(), synced)
        };
        let folders: Vec<&Path> = folders.into_iter().collect();
        let synced = if folders.len() == 1 {
            folders.into_iter().map(sync).collect()
        } else {
            CpuPool::for_storage().map(folders, sync)
        };
        Self(synced.into_iter().collect())
    }

    /// Whether the names of an attempt's products last.
    ///
    /// # Errors
    /// When a folder could not be synced, and the task is this launch's; when there was no time left.
    pub fn check(&self, published: &PublishedProducts, guard: &dyn PublishGuard) -> Result<(), NotPublished> {
        let mut synced = published.places.iter().filter_map(|place| self.0.get(place));
        match synced.find_map(|synced| synced.as_ref().err()) {
            None => Ok(()),
            Some(NotSynced::Failed(error)) => Err(NotPublished::from(error).unless_lost(guard)),
            Some(NotSynced::Stopped) => Err(Unpublished::Stopped.into()),
        }
    }
}

/// Makes room for the products of one slot's tasks.
#[derive(Debug)]
pub struct PublishingSlot<'a> {
    publishing: &'a Publishing<'a>,
    /// The folders that attempts share, of the last attempt: the next one often needs the same.
    shared: Vec<Arc<SharedFolder>>,
}

impl PublishingSlot<'_> {
    /// Makes the folders for the products of the entry `path`, and removes what earlier attempts at its task left.
    ///
    /// # Errors
    /// When a folder can't be made, or an existing file may not be replaced.
    pub fn stage(
        &mut self,
        entry: Entry<'_>,
        (index, number): (u64, u32),
        guard: &dyn PublishGuard,
    ) -> Result<StagedProducts, NotPublished> {
        let Publishing { declared, replica, launch, .. } = *self.publishing;
        let attempt = AttemptName { index, replica, launch, number };
        let mut staged = StagedProducts::default();
        let mut add_all = || -> Result<(), NotPublished> {
            for (name, place) in declared.names().zip(declared.paths(entry, index)) {
                staged.add(name, place, |above| {
                    StagingFolder::make(above, self.shared_in(above), attempt, guard)
                })?;
            }
            staged.look_at_places(declared.input_of(entry).map(Path::new), guard)
        };
        let added = add_all();
        if let Err(not) = added {
            staged.remove();
            return Err(not.unless_lost(guard));
        }
        self.shared = staged.folders.iter().map(|folder| Arc::clone(folder.shared())).collect();
        Ok(staged)
    }

    /// The folder that attempts share in a final folder.
    fn shared_in(&self, place: &Path) -> Arc<SharedFolder> {
        let path = place.join(&self.publishing.shared_name);
        let known = self.shared.iter().find(|known| known.path() == path).map(Arc::clone);
        known.unwrap_or_else(|| Arc::new(SharedFolder::new(path)))
    }

    /// See [`Publishing::remove_later`].
    pub fn remove_later(&self, staged: StagedProducts) {
        self.publishing.remove_later(staged);
    }
}

/// Where an attempt writes its products.
#[derive(Debug, Default)]
pub struct StagedProducts {
    folders: Vec<StagingFolder>,
    products: Vec<StagedProduct>,
    outs: Vec<PathBuf>,
}

/// Where one product goes.
#[derive(Debug)]
struct StagedProduct {
    name: Option<String>,
    /// The final place.
    place: PathBuf,
    /// Which of the folders it is written in.
    folder: usize,
    /// What was at the final place before the attempt.
    before: Option<ProductLook>,
}

/// Whether both are names of one file. A link at the place of a product would be replaced, not what it leads to.
fn is_one_file(place: &Path, entry: &Path) -> bool {
    let there = place.symlink_metadata().ok().zip(entry.metadata().ok());
    there.is_some_and(|(place, entry)| (place.dev(), place.ino()) == (entry.dev(), entry.ino()))
}

/// Whether what was made has its final name by now: storage may do a rename and lose the answer. An inode number alone does not
/// tell: that of what was removed is soon another one's.
fn is_at(place: &Path, made: &MadeProduct) -> bool {
    place.symlink_metadata().is_ok_and(|there| {
        there.ino() == made.inode
            && changed_at(&there) == made.product.modified
            && (there.is_dir() || there.len() == made.product.bytes)
    })
}

/// The placeholder for the product of this name. Messages use it in place of the path, so that those of many tasks
/// are grouped.
pub(super) fn placeholder(name: Option<&str>) -> String {
    name.map_or_else(|| "{out}".to_owned(), |name| format!("{{out:{name}}}"))
}

/// What was published of an attempt.
#[derive(Debug, Default)]
pub struct PublishedProducts {
    /// The products, in the order of their declaration.
    pub products: Vec<Product>,
    /// The folders in which they have their names.
    pub places: Vec<PathBuf>,
    /// What else was beside them, by its names, and was removed.
    pub others: Vec<OsString>,
    /// The first thing beside them that could not be removed.
    pub unremoved: Option<FileError>,
}

impl StagedProducts {
    fn add(
        &mut self,
        name: Option<&str>,
        place: PathBuf,
        make: impl FnOnce(&Path) -> Result<StagingFolder, NotPublished>,
    ) -> Result<(), NotPublished> {
        let above = place.parent().unwrap_or(Path::new("/"));
        let made = self.folders.iter().position(|folder| folder.place() == above);
        let folder = made.unwrap_or(self.folders.len());
        if made.is_none() {
            self.folders.push(make(above)?);
        }
        self.outs.push(self.folders[folder].path().join(place.file_name().unwrap_or_default()));
        self.products.push(StagedProduct { name: name.map(str::to_owned), place, folder, before: None });
        Ok(())
    }

    /// The paths to write the products to, in the order of their declaration.
    pub fn outs(&self) -> &[PathBuf] {
        &self.outs
    }

    /// The folders in which the products have their final names.
    fn places(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().map(StagingFolder::place)
    }

    /// Removes what was written. Where that fails, the next attempt of the task does it.
    pub fn remove(&self) {
        for folder in &self.folders {
            let _ = folder.remove();
        }
    }

    /// Checks what the products would replace.
    fn look_at_places(&mut self, input: Option<&Path>, guard: &dyn PublishGuard) -> Result<(), NotPublished> {
        for product in &mut self.products {
            product.before = product.look(guard)?;
            if product.before.is_some() && input.is_some_and(|input| is_one_file(&product.place, input)) {
                return Err(failed(format!(
                    "the product {} is the task's own input file: write it elsewhere",
                    product.placeholder()
                )));
            }
        }
        Ok(())
    }

    fn publish(
        &self,
        how: &Sealing<'_>,
        guard: &dyn PublishGuard,
    ) -> Result<PublishedProducts, NotPublished> {
        let made = how.patiently(|| self.seal_all(how))?;
        let has_exchanges = how.patiently(|| self.prepare(&made, guard))?;
        guard.check_owner()?;
        self.put_at_places(&made, has_exchanges, how, guard)
            .map_err(|not| if has_exchanges { self.undo_exchanges(not) } else { not })?;
        let (others, unremoved) = self.clear(has_exchanges);
        Ok(PublishedProducts {
            products: made.into_iter().map(|made| made.product).collect(),
            places: self.places().map(Path::to_owned).collect(),
            others,
            unremoved,
        })
    }

    /// Removes what is left after the products got their names. They stay published even if this fails.
    fn clear(&self, has_exchanges: bool) -> (Vec<OsString>, Option<FileError>) {
        let (mut others, mut unremoved) = (Vec::new(), None);
        for folder in &self.folders {
            if has_exchanges {
                unremoved = unremoved.or(folder.remove_old().err());
            }
            match folder.remove_empty() {
                Ok(left) if left.is_empty() => {}
                Ok(left) => {
                    others.extend(left);
                    unremoved = unremoved.or(folder.remove().err());
                }
                Err(error) => unremoved = unremoved.or(Some(error)),
            }
        }
        (others, unremoved)
    }

    fn seal_all(&self, how: &Sealing<'_>) -> Result<Vec<MadeProduct>, NotPublished> {
        let each = self.products.iter().zip(&self.outs);
        each.map(|(product, out)| {
            let name = product.name.as_deref();
            let made = seal(name, out, &product.place, how)?;
            made.ok_or_else(|| product.not_written(how.has_out))
        })
        .collect()
    }

    /// Gets ready for what no rename replaces at once; gives whether there is such.
    fn prepare(&self, made: &[MadeProduct], guard: &dyn PublishGuard) -> Result<bool, NotPublished> {
        let is_directory = |made: &MadeProduct| made.product.kind == ProductKind::Dir;
        if !made.iter().any(is_directory) {
            return Ok(false);
        }
        let (mut directories, mut has_exchanges) = (Vec::new(), false);
        for ((product, made), out) in self.products.iter().zip(made).zip(&self.outs) {
            if !is_directory(made) {
                continue;
            }
            directories.push(directory_id(out, made.inode));
            if product.look(guard)?.is_some() {
                exchange::prepare(&self.folders[product.folder].old())?;
                has_exchanges = true;
            }
        }
        guard.announce_directories(&directories).map_err(Unpublished::CannotRecord)?;
        Ok(has_exchanges)
    }

    fn put_at_places(
        &self,
        made: &[MadeProduct],
        has_exchanges: bool,
        how: &Sealing<'_>,
        guard: &dyn PublishGuard,
    ) -> Result<(), NotPublished> {
        for (product, made) in self.products.iter().zip(made) {
            how.patiently(|| self.put_at_place(product, made, guard))?;
        }
        if !has_exchanges {
            return Ok(());
        }
        // What was replaced is there until what replaces it is sure to be.
        self.places().try_for_each(|place| how.patiently(|| Ok(sync_folder(place)?)))
    }

    /// Puts back what nothing came in the place of, and removes the rest, so that nothing stays hidden until the next attempt.
    fn undo_exchanges(&self, not: NotPublished) -> NotPublished {
        let errors: Vec<FileError> = self.folders.iter().filter_map(|folder| folder.settle().err()).collect();
        let Some(error) = errors.first() else { return not };
        match not {
            NotPublished::Failed(Failure { cause, message }) => {
                NotPublished::Failed(Failure { cause, message: format!("{message}; {error}") })
            }
            NotPublished::Unpublished(Unpublished::CannotStore(StorageError { text, trouble })) => {
                Unpublished::CannotStore(StorageError { text: format!("{text}; {error}"), trouble }).into()
            }
            // The launch that has the task now has handled it.
            NotPublished::Unpublished(Unpublished::Lost) => not,
            NotPublished::Unpublished(_) => {
                let trouble = StorageTrouble::of(&error.error);
                Unpublished::CannotStore(StorageError { text: error.to_string(), trouble }).into()
            }
        }
    }

    fn put_at_place(
        &self,
        product: &StagedProduct,
        made: &MadeProduct,
        guard: &dyn PublishGuard,
    ) -> Result<(), NotPublished> {
        let folder = &self.folders[product.folder];
        let (out, place) =
            (folder.path().join(product.place.file_name().unwrap_or_default()), &product.place);
        let is_exchange = made.product.kind == ProductKind::Dir && product.look(guard)?.is_some();
        let put = if is_exchange {
            exchange::replace(&out, place, &folder.old())
        } else {
            exchange::rename(CWD, &out, CWD, place)
        };
        let put = put.or_else(|error| if is_at(place, made) { Ok(()) } else { Err(error) });
        match put.map_err(FileError::of("rename a product to", place)) {
            Ok(()) => Ok(()),
            Err(error) => {
                // The launch that took the task over has removed what is written here.
                guard.check_owner()?;
                Err(error.into())
            }
        }
    }
}

impl StagedProduct {
    /// What is at the final place. A directory has to be one that the task made in this run.
    fn look(&self, guard: &dyn PublishGuard) -> Result<Option<ProductLook>, NotPublished> {
        match self.place.symlink_metadata() {
            Ok(there) if there.is_dir() && !guard.has_made(directory_id(&self.place, there.ino())) => {
                Err(failed(format!(
                    "{} is a directory that this run did not make, and is not replaced: move it away",
                    units::path(&self.place)
                )))
            }
            Ok(there) => Ok(Some(ProductLook::of(&there))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::of("look at", &self.place)(error).into()),
        }
    }

    /// Why there is nothing where it was to be written.
    fn not_written(&self, has_out: bool) -> NotPublished {
        let now = self.place.symlink_metadata().ok().map(|there| ProductLook::of(&there));
        if now.is_some() && now != self.before {
            return failed(format!(
                "the command wrote to the product's final path itself: give it {} to write to",
                self.placeholder()
            ));
        }
        let out = self.placeholder();
        let hint = if has_out { String::new() } else { format!(" (the command has no {out})") };
        failed(format!("no product: the command wrote nothing to {out}{hint}"))
    }

    fn placeholder(&self) -> String {
        placeholder(self.name.as_deref())
    }
}

#[cfg(test)]
mod tests;
