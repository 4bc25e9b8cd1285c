//! Whether the products of tasks are still as they were recorded: looked at, many at a time, and not read.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::model::product::{ProductLook, ProductStamp};
use crate::products::declared::DeclaredProducts;
use crate::record::inputs::InputList;
use crate::threads::CpuPool;

/// Paths of so many tasks are in memory at a time.
const AT_A_TIME: usize = 4096;

/// So many paths are named.
const NAMED: usize = 5;

/// How the products of a task that is done are found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ProductCondition {
    /// As they were recorded.
    AsRecorded,
    /// This one is gone.
    Gone(PathBuf),
    /// Of this one, or of others of the task, the size or the time is another.
    Changed(PathBuf),
    /// Storage does not tell of this one, and says why.
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

/// What became of the products of done tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductChanges {
    /// How many tasks were looked at.
    pub looked_at: u64,
    /// Those of which a product is gone.
    pub gone: AffectedTasks,
    /// Those of which all are there, and one has another size or time than recorded, or is of another kind.
    pub changed: AffectedTasks,
    /// Those of which storage does not tell.
    pub unknown: AffectedTasks,
    /// Why it does not, of the first of these.
    pub why_unknown: Option<String>,
}

impl ProductChanges {
    fn take(&mut self, index: u64, condition: ProductCondition) {
        self.looked_at += 1;
        match condition {
            ProductCondition::AsRecorded => {}
            ProductCondition::Gone(path) => self.gone.add(index, path),
            ProductCondition::Changed(path) => self.changed.add(index, path),
            ProductCondition::Unknown(path, why) => {
                self.unknown.add(index, path);
                self.why_unknown.get_or_insert(why);
            }
        }
    }
}

/// Looks at the products of tasks, of which the index (ascending) and the stamp of their record are given.
///
/// # Errors
/// When the list can't be read.
pub fn look_at_products(
    declared: &DeclaredProducts,
    list: &InputList,
    done: &[(u64, ProductStamp)],
) -> anyhow::Result<ProductChanges> {
    let mut changes = ProductChanges::default();
    let pool = CpuPool::for_storage();
    for tasks in done.chunks(AT_A_TIME) {
        let mut recorded = Vec::with_capacity(tasks.len());
        let mut stamps = tasks.iter().map(|(_, stamp)| *stamp);
        list.read(tasks.iter().map(|(index, _)| *index), |index, entry| {
            let stamp = stamps.next().unwrap_or_default();
            recorded.push((declared.paths(entry.path, entry.rel, index), stamp));
            Ok(())
        })?;
        let conditions = pool.map(recorded, |(paths, stamp)| condition(paths, stamp));
        for ((index, _), condition) in tasks.iter().zip(conditions) {
            changes.take(*index, condition);
        }
    }
    Ok(changes)
}

fn condition(mut paths: Vec<PathBuf>, stamp: ProductStamp) -> ProductCondition {
    let mut looks = Vec::with_capacity(paths.len());
    for place in 0..paths.len() {
        match look(&paths[place]) {
            Ok(Some(look)) => looks.push(look),
            Ok(None) => return ProductCondition::Gone(paths.swap_remove(place)),
            Err(error) => return ProductCondition::Unknown(paths.swap_remove(place), error.to_string()),
        }
    }
    if ProductStamp::of(looks) == stamp || paths.is_empty() {
        ProductCondition::AsRecorded
    } else {
        ProductCondition::Changed(paths.swap_remove(0))
    }
}

/// What can be seen of a product; `None` where there is nothing of its name.
///
/// # Errors
/// When the storage does not tell.
pub fn look(path: &Path) -> std::io::Result<Option<ProductLook>> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(ProductLook::of(&metadata))),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{ProductCondition, condition, look};
    use crate::model::product::ProductStamp;

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
        assert_eq!(now(), ProductCondition::Gone(paths[1].clone()));
        std::os::unix::fs::symlink("elsewhere", &paths[1]).unwrap();
        assert!(matches!(now(), ProductCondition::Changed(_)), "a link to nowhere is there");
        let below = vec![paths[0].join("no folder")];
        assert!(matches!(condition(below, recorded), ProductCondition::Gone(_)));
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
