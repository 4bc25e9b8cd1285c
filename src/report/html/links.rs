//! Links from the page to products: relative, so that page and products can be moved together.

use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// What leads from a page in `folder` to `path`, both absolute: to a folder up to a slash and to what is in it. `None` for a
/// path that is no name in a folder.
pub(super) fn relative(folder: &Path, path: &Path) -> Option<(String, String)> {
    let base = path.file_name()?;
    let parent: Vec<Component<'_>> = path.parent()?.components().collect();
    let from: Vec<Component<'_>> = folder.components().collect();
    let shared = from.iter().zip(&parent).take_while(|(one, other)| one == other).count();
    // Never empty, so that no name is mistaken for a scheme or a host.
    let up = if shared == from.len() { "./".to_owned() } else { "../".repeat(from.len() - shared) };
    let down = parent[shared..].iter().map(|part| escaped(part.as_os_str().as_bytes()) + "/");
    Some((down.fold(up, |link, part| link + &part), escaped(base.as_bytes())))
}

/// With `%` and two digits in place of each byte that means something in a link, or is no letter.
fn escaped(name: &[u8]) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+,=@".contains(&byte);
    let one =
        |byte: &u8| if is_plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    name.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::relative;

    #[test]
    fn links_lead_from_the_page_to_products_wherever_they_lie_and_whatever_they_are_called() {
        for (path, folder, base) in [
            ("/a/res/x.fits", "./", "x.fits"),
            ("/a/res/cat/b c/x.fits", "./cat/b%20c/", "x.fits"),
            ("/a/cat/x.fits", "../cat/", "x.fits"),
            ("/b/x.fits", "../../b/", "x.fits"),
            ("/x.fits", "../../", "x.fits"),
            ("/a/res/javascript:alert(1)", "./", "javascript%3Aalert%281%29"),
            ("/a/res/<b>&\"%#?é", "./", "%3Cb%3E%26%22%25%23%3F%C3%A9"),
        ] {
            let (to, name) = relative(Path::new("/a/res"), Path::new(path)).unwrap();
            assert_eq!((to.as_str(), name.as_str()), (folder, base), "{path}");
        }
        let odd = Path::new(OsStr::from_bytes(b"/a/res/\xff"));
        assert_eq!(relative(Path::new("/a/res"), odd), Some(("./".to_owned(), "%FF".to_owned())));
        assert_eq!(relative(Path::new("/a/res"), Path::new("/")), None);
    }
}
