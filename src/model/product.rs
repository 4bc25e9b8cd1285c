//! A product as records have it: a file or directory that a task made.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::text::PathText;

/// What a product is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProductKind {
    /// A regular file.
    File,
    /// A directory with all that is in it, such as a Measurement Set.
    Dir,
}

/// Whether products are hashed (`--checksum`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checksum {
    /// They are not.
    #[default]
    None,
    /// With SHA-256.
    Sha256,
}

/// One product of a task that is ok.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its name, where it was declared with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is, absolute.
    #[serde(flatten)]
    pub path: PathText,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ProductKind,
    /// Its length; of a directory, that of all files in it.
    pub bytes: u64,
    /// When it was last changed, by the file server's clock.
    pub modified: Timestamp,
    /// Its SHA-256, hexadecimal. Of a directory: that of the lines that `sha256sum` prints for the files in it, named from
    /// within it, sorted by their names' bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What can be seen of a product with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProductLook {
    /// A file of this length, changed at this time.
    File { bytes: u64, modified: Timestamp },
    /// A directory: its content is not examined.
    Dir,
    /// Something else, such as a socket.
    Other,
}

impl ProductLook {
    /// Of a file or directory that is there, links not followed.
    pub fn of(metadata: &Metadata) -> Self {
        if metadata.is_dir() {
            Self::Dir
        } else if metadata.is_file() {
            Self::File { bytes: metadata.len(), modified: changed_at(metadata) }
        } else {
            Self::Other
        }
    }
}

/// When a file or directory was last changed, by the file server's clock.
pub fn changed_at(metadata: &Metadata) -> Timestamp {
    let nanoseconds = i32::try_from(metadata.mtime_nsec()).unwrap_or_default();
    Timestamp::new(metadata.mtime(), nanoseconds).unwrap_or_default()
}

/// A directory, distinguished from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirectoryId {
    /// Its inode number. That of a directory which was removed is soon another one's.
    pub inode: u64,
    /// When it was created, if the file system says so: no rename changes it.
    pub born: Option<Timestamp>,
}

impl DirectoryId {
    /// Whether both are the same directory, as far as is known.
    pub fn may_be(self, other: Self) -> bool {
        let other_birth = self.born.zip(other.born).is_some_and(|(one, other)| one != other);
        self.inode == other.inode && !other_birth
    }
}

impl Product {
    /// Its metadata as long as it is unchanged.
    pub fn look(&self) -> ProductLook {
        match self.kind {
            ProductKind::File => ProductLook::File { bytes: self.bytes, modified: self.modified },
            ProductKind::Dir => ProductLook::Dir,
        }
    }
}

/// What looks at all products of a task come to, in the order of their declaration. Equal stamps: none of them was changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProductStamp(#[serde(with = "hexadecimal")] pub u64);

impl ProductStamp {
    /// Of a task's products.
    pub fn of(looks: impl IntoIterator<Item = ProductLook>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for look in looks {
            match look {
                ProductLook::File { bytes, modified } => {
                    hasher.update(b"f");
                    hasher.update(&bytes.to_le_bytes());
                    hasher.update(&modified.as_nanosecond().to_le_bytes())
                }
                ProductLook::Dir => hasher.update(b"d"),
                ProductLook::Other => hasher.update(b"o"),
            };
        }
        let mut first = [0; 8];
        hasher.finalize_xof().fill(&mut first);
        Self(u64::from_le_bytes(first))
    }
}

/// The products of a task that is ok, in few bytes: there may be a million such tasks. With a count of 0 it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeProducts {
    /// What looks at them come to.
    pub stamp: ProductStamp,
    /// How many.
    pub count: u32,
    /// Their length together, bytes.
    pub bytes: u64,
}

impl MadeProducts {
    /// `None` where there are none.
    pub fn of(products: &[Product]) -> Option<Self> {
        let bytes = |sum: u64, product: &Product| sum.saturating_add(product.bytes);
        (!products.is_empty()).then(|| Self {
            stamp: ProductStamp::of(products.iter().map(Product::look)),
            count: u32::try_from(products.len()).unwrap_or(u32::MAX),
            bytes: products.iter().fold(0, bytes),
        })
    }
}

/// The products of many tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProductTotals {
    /// How many.
    pub count: u64,
    /// Their length together, bytes.
    pub bytes: u64,
}

impl ProductTotals {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Counts the products of a task that had `before` and has `now`.
    pub fn change(&mut self, before: MadeProducts, now: MadeProducts) {
        let changed = |all: u64, before: u64, now: u64| all.saturating_add(now).saturating_sub(before);
        self.count = changed(self.count, before.count.into(), now.count.into());
        self.bytes = changed(self.bytes, before.bytes, now.bytes);
    }
}

impl std::iter::Sum for ProductTotals {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            count: sum.count.saturating_add(one.count),
            bytes: sum.bytes.saturating_add(one.bytes),
        })
    }
}

impl fmt::Display for ProductStamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

/// A number as 16 hexadecimal digits: JSON numbers of 64 bits are not everywhere read exactly.
mod hexadecimal {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{number:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}
