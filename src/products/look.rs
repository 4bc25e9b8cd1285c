//! Whether the products of tasks are still as they were recorded: looked at, many at a time, and not read.

use std::io::ErrorKind;
use std::path::Path;

use crate::model::product::ProductLook;

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
