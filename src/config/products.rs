//! The products that were declared (`--product [NAME=]PATH`).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use anyhow::bail;

use crate::record::inputs::DeclaredProduct;
use crate::template::{OutNames, PathTemplate};
use crate::units;

/// The products as they were declared.
///
/// # Errors
/// When a path can't be used, two have one name, or more than the first have none.
pub fn declared_products(given: &[OsString]) -> anyhow::Result<Vec<DeclaredProduct>> {
    let products: Vec<DeclaredProduct> = given.iter().map(|text| declared(text)).collect();
    for (place, product) in products.iter().enumerate() {
        PathTemplate::parse(&product.path.0)?;
        let is_repeated = products[..place].iter().any(|before| before.name == product.name);
        match &product.name {
            None if is_repeated => bail!(
                "--product {} has no name, and there is another one without: of several, give each but the first a name, as in --product cat={}",
                units::path(&product.path.0),
                units::path(&product.path.0)
            ),
            Some(name) if is_repeated => {
                bail!("--product has two products called {name}: give each its own name")
            }
            None | Some(_) => {}
        }
    }
    Ok(products)
}

/// What a command may call them.
pub fn out_names(products: &[DeclaredProduct]) -> OutNames {
    OutNames::new(products.iter().map(|product| product.name.clone()))
}

/// A name is a word before the first `=`.
fn declared(text: &OsStr) -> DeclaredProduct {
    let bytes = text.as_bytes();
    let is_word = |name: &[u8]| {
        name.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    };
    let named = memchr::memchr(b'=', bytes).filter(|at| is_word(&bytes[..*at]));
    let name = named.and_then(|at| str::from_utf8(&bytes[..at]).ok()).map(str::to_owned);
    let path = named.map_or(bytes, |at| &bytes[at + 1..]);
    DeclaredProduct { name, path: OsStr::from_bytes(path).into() }
}
