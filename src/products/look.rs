//! Whether the products of tasks are still as recorded: checks their metadata, many at a time, without reading them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use jiff::Timestamp;

use crate::model::product::{DirectoryId, Product, ProductLook, ProductStamp};
use crate::products::declared::DeclaredProducts;
use crate::record::inputs::InputList;
use crate::threads::CpuPool;

/// How many tasks are checked at a time, 0.3 s of work at 5 ms each: then `keep_going` is asked.
const AT_A_TIME: usize = 1024;

/// The check may take long: this process was shut down before it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped while looking at products")]
pub struct LookingStopped;

/// How many paths are named.
const NAMED: usize = 5;

/// How the products of a task that is done are found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ProductCondition {
    /// As they were recorded.
    AsRecorded,
    /// This one is gone; what is seen of each, in the order of their declaration.
    Gone(PathBuf, Vec<Option<ProductLook>>),
    /// Of this one, or of others of the task, the size or the time is another.
    Changed(PathBuf),
    /// Storage gave an error for this one.
    Unknown(PathBuf, String),
}

/// Tasks with the same fate of their products.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AffectedTasks {
    /// Their indices in the list, ascending.
    pub indices: Vec<u64>,
    /// Products of the first few of them.
    pub examples: Vec<PathBuf>,
}

impl AffectedTasks {
    fn add(&mut self, index: u64, path: PathBuf) {
        self.indices.push(index);
        if self.examples.len() < NAMED {
            self.examples.push(path);
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.indices.len() as u64
    }
}

/// The state of the products of finished tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductChanges {
    /// How many tasks were checked.
    pub looked_at: u64,
    /// Those of which a product is gone, and the others, if there are any, are as they were recorded.
    pub gone: AffectedTasks,
    /// Those of which one has another size or time than recorded, or is of another kind, be others there or gone.
    pub changed: AffectedTasks,
    /// Tasks with products that storage gave an error for.
    pub unknown: AffectedTasks,
    /// Why it does not, of the first of these.
    pub why_unknown: Option<String>,
}

impl ProductChanges {
    /// The same of only some tasks.
    #[must_use]
    pub fn of_tasks(mut self, is_of_them: impl Fn(u64) -> bool) -> Self {
        for tasks in [&mut self.gone, &mut self.changed, &mut self.unknown] {
            tasks.indices.retain(|index| is_of_them(*index));
        }
        self
    }

    fn take(&mut self, index: u64, condition: ProductCondition) {
        self.looked_at += 1;
        match condition {
            ProductCondition::AsRecorded => {}
            ProductCondition::Gone(path, _) => self.gone.add(index, path),
            ProductCondition::Changed(path) => self.changed.add(index, path),
            ProductCondition::Unknown(path, why) => {
                self.unknown.add(index, path);
                self.why_unknown.get_or_insert(why);
            }
        }
    }
}

/// What the record of a task says of its products, by its index.
pub type RecordedProducts<'a> = dyn FnMut(u64) -> anyhow::Result<Vec<Product>> + 'a;

/// Looks at the products of tasks, of which the index (ascending) and the stamp of their record are given. `recorded` is asked
/// only about tasks of which some products are gone and others are not; `keep_going`, now and then, whether to look on.
///
/// # Errors
/// [`LookingStopped`], when the list can't be read, and those of `recorded`.
pub fn look_at_products(
    declared: &DeclaredProducts,
    list: &InputList,
    done: &[(u64, ProductStamp)],
    recorded: &mut RecordedProducts<'_>,
    keep_going: &dyn Fn() -> bool,
) -> anyhow::Result<ProductChanges> {
    let mut changes = ProductChanges::default();
    let pool = CpuPool::for_storage();
    for tasks in done.chunks(AT_A_TIME) {
        ensure!(keep_going(), LookingStopped);
        let mut stamped = Vec::with_capacity(tasks.len());
        let mut stamps = tasks.iter().map(|(_, stamp)| *stamp);
        list.read(tasks.iter().map(|(index, _)| *index), |index, entry| {
            let stamp = stamps.next().unwrap_or_default();
            stamped.push((declared.paths(entry, index), stamp));
            Ok(())
        })?;
        let conditions = pool.map(stamped, |(paths, stamp)| condition(paths, stamp));
        for ((index, _), condition) in tasks.iter().zip(conditions) {
            changes.take(*index, condition.with_record(*index, recorded)?);
        }
    }
    Ok(changes)
}

fn condition(mut paths: Vec<PathBuf>, stamp: ProductStamp) -> ProductCondition {
    let mut looks = Vec::with_capacity(paths.len());
    for place in 0..paths.len() {
        match look(&paths[place]) {
            Ok(look) => looks.push(look),
            Err(error) => return ProductCondition::Unknown(paths.swap_remove(place), error.to_string()),
        }
    }
    if let Some(gone) = looks.iter().position(Option::is_none) {
        return ProductCondition::Gone(paths.swap_remove(gone), looks);
    }
    if ProductStamp::of(looks.into_iter().flatten()) == stamp || paths.is_empty() {
        ProductCondition::AsRecorded
    } else {
        ProductCondition::Changed(paths.swap_remove(0))
    }
}

/// The metadata of each of these, as from [`look`]; `keep_going` as for [`look_at_products`].
///
/// # Errors
/// [`LookingStopped`].
pub fn look_at_all(
    paths: &[&Path],
    keep_going: &dyn Fn() -> bool,
) -> Result<Vec<std::io::Result<Option<ProductLook>>>, LookingStopped> {
    let pool = CpuPool::for_storage();
    let mut looks = Vec::with_capacity(paths.len());
    for paths in paths.chunks(AT_A_TIME) {
        if !keep_going() {
            return Err(LookingStopped);
        }
        looks.extend(pool.map(paths.to_vec(), look));
    }
    Ok(looks)
}

impl ProductCondition {
    /// The same, but changed if one is gone and another is not as recorded: a stamp covers only all of them together.
    fn with_record(self, index: u64, recorded: &mut RecordedProducts<'_>) -> anyhow::Result<Self> {
        let Self::Gone(_, looks) = &self else { return Ok(self) };
        if looks.iter().all(Option::is_none) {
            return Ok(self);
        }
        let products = recorded(index)?;
        let mut pairs = looks.iter().zip(&products);
        let changed = pairs.find(|(look, product)| look.is_some_and(|look| look != product.look()));
        Ok(match changed {
            Some((_, product)) => Self::Changed(product.path.bytes().unwrap_or_default().into()),
            None => self,
        })
    }
}

/// The metadata of a product; `None` if nothing has its name.
///
/// # Errors
/// When storage gives an error.
pub fn look(path: &Path) -> std::io::Result<Option<ProductLook>> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(ProductLook::of(&metadata))),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The identity of the directory with this inode number at `path`.
pub(super) fn directory_id(path: &Path, inode: u64) -> DirectoryId {
    DirectoryId { inode, born: born(path) }
}

#[cfg(target_os = "linux")]
fn born(path: &Path) -> Option<Timestamp> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

    let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BTIME).ok()?;
    let is_told = found.stx_mask & StatxFlags::BTIME.bits() != 0;
    let nanoseconds = i32::try_from(found.stx_btime.tv_nsec).ok()?;
    is_told.then(|| Timestamp::new(found.stx_btime.tv_sec, nanoseconds).ok()).flatten()
}

#[cfg(not(target_os = "linux"))]
fn born(path: &Path) -> Option<Timestamp> {
    std::fs::symlink_metadata(path).ok()?.created().ok().and_then(|born| Timestamp::try_from(born).ok())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{AT_A_TIME, LookingStopped, ProductCondition, condition, look, look_at_all};
    use crate::model::product::{Product, ProductKind, ProductLook, ProductStamp};
    use crate::text::PathText;

    fn stamp(paths: &[PathBuf]) -> ProductStamp {
        ProductStamp::of(paths.iter().map(|path| look(path).unwrap().unwrap()))
    }

    fn products(folder: &Path) -> Vec<PathBuf> {
        let paths = vec![folder.join("a.fits"), folder.join("b.ms")];
        std::fs::write(&paths[0], "pixels").unwrap();
        std::fs::create_dir(&paths[1]).unwrap();
        paths
    }

    #[test]
    fn what_is_gone_or_changed_is_told_from_what_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let paths = products(folder.path());
        let recorded = stamp(&paths);
        let now = || condition(paths.clone(), recorded);
        assert_eq!(now(), ProductCondition::AsRecorded);
        // Of a directory only its existence counts.
        std::fs::write(paths[1].join("table"), "rows").unwrap();
        assert_eq!(now(), ProductCondition::AsRecorded);
        std::fs::write(&paths[0], "PIXELS and more").unwrap();
        assert_eq!(now(), ProductCondition::Changed(paths[0].clone()));
        std::fs::remove_dir_all(&paths[1]).unwrap();
        assert_eq!(now(), ProductCondition::Gone(paths[1].clone(), vec![look(&paths[0]).unwrap(), None]));
        std::os::unix::fs::symlink("elsewhere", &paths[1]).unwrap();
        assert!(matches!(now(), ProductCondition::Changed(_)), "a link to nowhere is there");
        let below = vec![paths[0].join("no folder")];
        assert!(matches!(condition(below, recorded), ProductCondition::Gone(..)));
    }

    #[test]
    fn a_task_of_which_one_product_is_gone_and_another_was_edited_is_changed() {
        let folder = tempfile::tempdir().unwrap();
        let paths = products(folder.path());
        let recorded = stamp(&paths);
        let record = |path: &PathBuf| {
            let (kind, bytes, modified) = match look(path).unwrap().unwrap() {
                ProductLook::File { bytes, modified } => (ProductKind::File, bytes, modified),
                ProductLook::Dir | ProductLook::Other => (ProductKind::Dir, 0, jiff::Timestamp::default()),
            };
            let path = PathText::exact(path.as_os_str());
            Product { name: None, path, kind, bytes, modified, sha256: None }
        };
        let record: Vec<Product> = paths.iter().map(record).collect();
        let now = || {
            let mut ask = |_| Ok(record.clone());
            condition(paths.clone(), recorded).with_record(7, &mut ask).unwrap()
        };
        assert_eq!(now(), ProductCondition::AsRecorded);
        std::fs::remove_dir(&paths[1]).unwrap();
        assert!(matches!(now(), ProductCondition::Gone(..)), "the other one is as it was");
        std::fs::write(&paths[0], "edited by hand").unwrap();
        assert_eq!(now(), ProductCondition::Changed(paths[0].clone()));
        std::fs::remove_file(&paths[0]).unwrap();
        assert!(matches!(now(), ProductCondition::Gone(..)), "nothing is left to keep");
    }

    #[test]
    fn a_look_at_many_ends_early_where_it_is_told_to() {
        let many = vec![Path::new("/nowhere/at all"); 2 * AT_A_TIME + 1];
        let all = look_at_all(&many, &|| true).unwrap();
        assert!(all.len() == many.len() && all.iter().all(|look| matches!(look, Ok(None))));
        let asked = std::cell::Cell::new(0);
        let keep_going = || asked.replace(asked.get() + 1) < 1;
        assert_eq!(look_at_all(&many, &keep_going).unwrap_err(), LookingStopped);
        assert_eq!(asked.get(), 2, "it is asked before each of three parts");
    }

    #[test]
    fn another_time_is_a_change_and_a_name_that_storage_refuses_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let paths = products(folder.path());
        let recorded = stamp(&paths);
        let file = std::fs::File::options().write(true).open(&paths[0]).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(condition(paths.clone(), recorded), ProductCondition::Changed(paths[0].clone()));
        let long = vec![folder.path().join("x".repeat(300))];
        assert!(matches!(condition(long, recorded), ProductCondition::Unknown(..)));
    }
}
