//! The products that were declared (`--product [NAME=]PATH`).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use anyhow::bail;

use crate::record::inputs::{DeclaredProduct, InputSpec};
use crate::template::{PathTemplate, Vocabulary};
use crate::units;

/// The products as they were declared, where this can be named.
///
/// # Errors
/// When a path can't be used, two have one name, or more than the first have none.
pub fn declared_products(given: &[OsString], names: &Vocabulary) -> anyhow::Result<Vec<DeclaredProduct>> {
    let products: Vec<DeclaredProduct> = given.iter().map(|text| declared(text)).collect();
    for (place, product) in products.iter().enumerate() {
        PathTemplate::parse(&product.path.0, names)?;
        let is_repeated = products[..place].iter().any(|before| before.name == product.name);
        match &product.name {
            None if is_repeated => bail!(
                "--product {} has no name, and neither has an earlier one: with several products, name all but the first, as in --product cat={}",
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

/// What commands of a run with entries from `source` and these products can name.
pub fn vocabulary(source: Option<&InputSpec>, products: &[DeclaredProduct]) -> Vocabulary {
    let outs = products.iter().map(|product| product.name.clone());
    source.map(InputSpec::vocabulary).unwrap_or_default().with_outs(outs)
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
