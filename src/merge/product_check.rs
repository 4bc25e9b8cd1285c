//! The products of the tasks that count: written to a list (`--products`), and compared with their records
//! (`--verify-products`), many at a time.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use serde::Serialize;

use crate::exit_code::CannotWrite;
use crate::merge::index::MergeIndex;
use crate::model::product::{Product, ProductKind, ProductLook};
use crate::products::digest::{DirectoryFiles, add_line, sha256_of_bytes, sha256_told};
use crate::products::look::look;
use crate::record::destination::{Destination, OutputFile};
use crate::store::regular;
use crate::threads::CpuPool;
use crate::units;

/// How many products are checked before their lines are written.
const AT_A_TIME: usize = 1024;

/// Or products with this many bytes together: progress is reported in between.
const BYTES_AT_A_TIME: u64 = 1 << 30;

/// How many products that are not as recorded are named: if there are more, most have the same cause.
const MOST_NAMED: usize = 5000;

/// Told how many products were checked, and how many bytes.
pub type ProductsTold<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// What a merge does with products.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductsWanted {
    /// Where their list goes.
    pub list: Option<Destination>,
    /// Whether its lines end with a NUL byte.
    pub null: bool,
    /// Whether they are compared with their records.
    pub verify: bool,
}

impl ProductsWanted {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.list.is_none() && !self.verify
    }
}

/// The result of comparing products with their records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProductCheck {
    /// Products that are as recorded: by their SHA-256 if there is one, else by size and time.
    pub as_recorded: u64,
    /// Products that are gone.
    pub gone: u64,
    /// Products with a different size, time or kind.
    pub changed: u64,
    /// Those with another SHA-256.
    pub wrong_digest: u64,
    /// Products that can't be read.
    pub unreadable: u64,
    /// The first 5,000 that are not as recorded, by run and replica.
    pub faults: Vec<FaultyProduct>,
    /// How many more there are.
    pub more_faults: u64,
    /// Bytes of all checked products, according to their records.
    #[serde(skip)]
    pub bytes: u64,
}

/// A product that is not as recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FaultyProduct {
    /// Where it is, or was.
    pub path: String,
    /// What is wrong.
    #[serde(flatten)]
    pub fault: ProductFault,
}

/// What is wrong with a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum ProductFault {
    /// It is not there.
    Gone,
    /// It has another size, time or kind.
    Changed,
    /// It has another SHA-256.
    WrongDigest,
    /// It can't be read.
    Unreadable {
        /// Why.
        why: String,
    },
}

impl ProductCheck {
    /// How many were checked.
    pub fn looked_at(&self) -> u64 {
        self.as_recorded + self.faults.len() as u64 + self.more_faults
    }

    fn take(&mut self, product: &Product, fault: Option<ProductFault>) {
        self.bytes = self.bytes.saturating_add(product.bytes);
        let Some(fault) = fault else {
            self.as_recorded += 1;
            return;
        };
        match fault {
            ProductFault::Gone => self.gone += 1,
            ProductFault::Changed => self.changed += 1,
            ProductFault::WrongDigest => self.wrong_digest += 1,
            ProductFault::Unreadable { .. } => self.unreadable += 1,
        }
        if self.faults.len() == MOST_NAMED {
            self.more_faults += 1;
            return;
        }
        let path = product.path.bytes().map_or_else(|_| String::new(), |path| units::path(&path));
        self.faults.push(FaultyProduct { path, fault });
    }
}

/// Lists or compares the products of all directories; the result is then part of the proof. `told` is called often,
/// even while a long one is read. Returns how many lines were written.
///
/// # Errors
/// When a record can't be read, the list can't be written, or a name needs `null`.
pub fn check_products(
    survey: &mut MergeIndex,
    wanted: &ProductsWanted,
    stdout: &mut dyn Write,
    told: ProductsTold<'_>,
) -> anyhow::Result<u64> {
    let list = wanted
        .list
        .as_ref()
        .map(|destination| ProductList::begin(destination, wanted.null, stdout))
        .transpose()?;
    let (pool, check) = (CpuPool::for_storage(), ProductCheck::default());
    let mut checkup = Checkup { wanted, list, pool, told, check };
    let (mut waiting, mut bytes) = (Vec::new(), 0_u64);
    for number in 0..survey.directories.len() {
        survey.each_made(number, &mut |task| {
            bytes = task.products.iter().fold(bytes, |sum, product| sum.saturating_add(product.bytes));
            waiting.extend(task.products);
            if waiting.len() < AT_A_TIME && bytes < BYTES_AT_A_TIME {
                return Ok(());
            }
            bytes = 0;
            checkup.take(std::mem::take(&mut waiting))
        })?;
    }
    checkup.take(waiting)?;
    let Checkup { list, check, .. } = checkup;
    if wanted.verify || !check.faults.is_empty() {
        survey.proof.product_check = Some(check);
    }
    list.map_or(Ok(0), ProductList::finish)
}

/// A pass over products.
struct Checkup<'a> {
    wanted: &'a ProductsWanted,
    list: Option<ProductList<'a>>,
    pool: CpuPool,
    told: ProductsTold<'a>,
    check: ProductCheck,
}

impl Checkup<'_> {
    fn take(&mut self, products: Vec<Product>) -> anyhow::Result<()> {
        let (wanted, told) = (self.wanted, self.told);
        let (looked_at, before, hashed) = (self.check.looked_at(), self.check.bytes, AtomicU64::new(0));
        let read = |bytes| {
            let hashed = hashed.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
            told(looked_at, before.saturating_add(hashed));
        };
        let seen = self.pool.map(products, |product| {
            let seen = SeenProduct::of(&product, wanted, &read);
            (product, seen)
        });
        for (product, SeenProduct { fault, lines }) in seen {
            if let Some(list) = &mut self.list {
                list.add(&lines)?;
            }
            self.check.take(&product, fault);
        }
        told(self.check.looked_at(), self.check.bytes);
        Ok(())
    }
}

/// The lines or faults of a product.
#[derive(Debug, Default)]
struct SeenProduct {
    fault: Option<ProductFault>,
    /// A file, or those of a directory, by their whole names, with their SHA-256 where products are hashed; none of what is
    /// known to be wrong.
    lines: Vec<(OsString, Option<String>)>,
}

impl SeenProduct {
    /// `read` hears of the bytes that are hashed.
    fn of(product: &Product, wanted: &ProductsWanted, read: &dyn Fn(u64)) -> Self {
        let path = match product.path.bytes() {
            Ok(path) => path,
            Err(why) => return Self { fault: Some(ProductFault::Unreadable { why }), lines: Vec::new() },
        };
        let lines = match (product.kind, &product.sha256) {
            (ProductKind::Dir, Some(sha256)) => files_of_directory(Path::new(&path), sha256, read),
            _ if wanted.verify => verified(product, &path, read),
            _ => Ok(vec![(path, product.sha256.clone())]),
        };
        match lines {
            Ok(lines) => Self { fault: None, lines },
            Err(fault) => Self { fault: Some(fault), lines: Vec::new() },
        }
    }
}

impl From<io::Error> for ProductFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Gone,
            _ => Self::Unreadable { why: error.to_string() },
        }
    }
}

/// The line of a product that is as recorded.
fn verified(
    product: &Product,
    path: &OsStr,
    read: &dyn Fn(u64),
) -> Result<Vec<(OsString, Option<String>)>, ProductFault> {
    let place = Path::new(path);
    let is_as_recorded = match (look(place)?, &product.sha256) {
        (None, _) => return Err(ProductFault::Gone),
        (Some(ProductLook::File { bytes, .. }), Some(sha256)) if bytes == product.bytes => {
            let (found, _) = regular::open(place).and_then(|file| sha256_told(&file, read))?;
            if found != *sha256 {
                return Err(ProductFault::WrongDigest);
            }
            product.kind == ProductKind::File
        }
        (Some(ProductLook::Dir), None) if product.kind == ProductKind::Dir => {
            bytes_in(place)? == product.bytes
        }
        (Some(found), None) => found == product.look(),
        (Some(_), Some(_)) => false,
    };
    if is_as_recorded {
        Ok(vec![(path.to_owned(), product.sha256.clone())])
    } else {
        Err(ProductFault::Changed)
    }
}

/// The length of all files in a directory.
fn bytes_in(directory: &Path) -> io::Result<u64> {
    let files = DirectoryFiles::of(directory)?.files;
    files.iter().try_fold(0, |sum, name| Ok(sum + directory.join(name).symlink_metadata()?.len()))
}

/// The files of a directory with their SHA-256, if all together they have that of the record.
fn files_of_directory(
    directory: &Path,
    recorded: &str,
    read: &dyn Fn(u64),
) -> Result<Vec<(OsString, Option<String>)>, ProductFault> {
    match look(directory)? {
        None => return Err(ProductFault::Gone),
        Some(ProductLook::Dir) => {}
        Some(_) => return Err(ProductFault::Changed),
    }
    let (mut text, mut lines) = (Vec::new(), Vec::new());
    for name in DirectoryFiles::of(directory)?.files {
        let path = directory.join(&name);
        let (sha256, _) = regular::open(&path).and_then(|file| sha256_told(&file, read))?;
        add_line(&mut text, &sha256, &name);
        lines.push((path.into_os_string(), Some(sha256)));
    }
    if sha256_of_bytes(&text) == recorded { Ok(lines) } else { Err(ProductFault::WrongDigest) }
}

/// The list that is written.
struct ProductList<'a> {
    destination: &'a Destination,
    file: OutputFile<'a>,
    null: bool,
    written: u64,
}

impl<'a> ProductList<'a> {
    fn begin(destination: &'a Destination, null: bool, stdout: &'a mut dyn Write) -> anyhow::Result<Self> {
        let file = destination
            .open(stdout)
            .with_context(|| format!("can't write {destination}"))
            .context(CannotWrite)?;
        Ok(Self { destination, file, null, written: 0 })
    }

    fn add(&mut self, lines: &[(OsString, Option<String>)]) -> anyhow::Result<()> {
        let mut text = Vec::new();
        for (path, sha256) in lines {
            self.add_to(&mut text, path, sha256.as_deref())?;
        }
        self.written += lines.len() as u64;
        self.file
            .write_all(&text)
            .with_context(|| format!("can't write {}", self.destination))
            .context(CannotWrite)
    }

    fn add_to(&self, text: &mut Vec<u8>, path: &OsStr, sha256: Option<&str>) -> anyhow::Result<()> {
        match (sha256, self.null) {
            (Some(sha256), false) => {
                add_line(text, sha256, path);
                return Ok(());
            }
            (Some(sha256), true) => text.extend_from_slice(format!("{sha256}  ").as_bytes()),
            (None, false) if path.as_bytes().contains(&b'\n') || path.as_bytes().ends_with(b"\r") => bail!(
                "names with a line break can't be written to {} without --null: {}",
                self.destination,
                units::path(path)
            ),
            (None, _) => {}
        }
        text.extend_from_slice(path.as_bytes());
        text.push(if self.null { 0 } else { b'\n' });
        Ok(())
    }

    fn finish(self) -> anyhow::Result<u64> {
        self.file
            .finish()
            .with_context(|| format!("can't write {}", self.destination))
            .context(CannotWrite)?;
        Ok(self.written)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::path::Path;

    use jiff::Timestamp;

    use super::{MOST_NAMED, ProductCheck, ProductFault, ProductsWanted, SeenProduct};
    use crate::model::product::{Product, ProductKind};
    use crate::products::digest::{add_line, sha256_of_bytes};
    use crate::text::PathText;

    fn product(path: &Path, kind: ProductKind, bytes: u64, sha256: String) -> Product {
        let (path, modified) = (PathText::readable(path.as_os_str()), Timestamp::UNIX_EPOCH);
        Product { name: None, path, kind, bytes, modified, sha256: Some(sha256) }
    }

    #[test]
    fn only_so_many_faults_are_named_and_all_are_counted() {
        let mut check = ProductCheck::default();
        let one = product("/a".as_ref(), ProductKind::File, 2, String::new());
        (0..MOST_NAMED + 3).for_each(|_| check.take(&one, Some(ProductFault::Gone)));
        check.take(&one, None);
        let all = MOST_NAMED as u64 + 3;
        assert_eq!((check.faults.len(), check.more_faults, check.gone), (MOST_NAMED, 3, all));
        assert_eq!((check.looked_at(), check.bytes), (all + 1, 2 * (all + 1)));
    }

    #[test]
    fn a_long_product_tells_of_itself_while_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let (path, content) = (folder.path().join("long"), vec![7; 1 << 20]);
        std::fs::write(&path, &content).unwrap();
        let sha256 = sha256_of_bytes(&content);
        let mut lines = Vec::new();
        add_line(&mut lines, &sha256, "long".as_ref());
        let wanted = ProductsWanted { verify: true, ..ProductsWanted::default() };
        for product in [
            product(&path, ProductKind::File, 1 << 20, sha256),
            product(folder.path(), ProductKind::Dir, 1 << 20, sha256_of_bytes(&lines)),
        ] {
            let (times, bytes) = (Cell::new(0), Cell::new(0));
            let seen = SeenProduct::of(&product, &wanted, &|read| {
                times.set(times.get() + 1);
                bytes.set(bytes.get() + read);
            });
            assert_eq!(seen.fault, None);
            assert!(times.get() > 1 && bytes.get() == 1 << 20, "{times:?} {bytes:?}");
        }
    }
}
