//! Links: files and headings are there. What is elsewhere is only looked at, since tests have no network.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::Page;
use super::page::root;

/// Larger pictures are slow to load.
const LARGEST_PICTURE: u64 = 200_000;

#[test]
fn links_and_pictures_lead_somewhere() {
    let pages: Vec<Page> = Page::paths().iter().map(|path| Page::read(path)).collect();
    let anchors: BTreeMap<&str, Vec<String>> =
        pages.iter().map(|page| (page.path.as_str(), anchors(&page.text))).collect();
    let mut broken = Vec::new();
    let mut checked = 0;
    for page in &pages {
        for target in targets(&page.text) {
            checked += 1;
            if let Some(why) = why_broken(page, &target, &anchors) {
                broken.push(format!("{}: {target}: {why}", page.path));
            }
        }
    }
    assert!(checked > 50, "only {checked} links were found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn why_broken(page: &Page, target: &str, anchors: &BTreeMap<&str, Vec<String>>) -> Option<String> {
    if let Some((scheme, rest)) = target.split_once("://") {
        let host = rest.split(['/', '#']).next().unwrap_or_default();
        return (scheme != "https" || !host.contains('.') || target.contains(' '))
            .then(|| "no address".to_owned());
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { page.path.clone() } else { beside(&page.path, file) };
    let Ok(metadata) = std::fs::metadata(root().join(&path)) else {
        return Some(format!("{path} is not there"));
    };
    if Path::new(&path).extension().is_some_and(|extension| extension == "png")
        && metadata.len() > LARGEST_PICTURE
    {
        return Some(format!("{} bytes", metadata.len()));
    }
    let anchor = anchor?;
    let known = anchors.get(path.as_str()).is_some_and(|anchors| anchors.iter().any(|known| known == anchor));
    (!known).then(|| format!("{path} has no such heading"))
}

/// The path of a link, as seen from the repository's root.
fn beside(page: &str, link: &str) -> String {
    let mut path = PathBuf::from(page);
    path.pop();
    for component in Path::new(link).components() {
        match component {
            Component::ParentDir => _ = path.pop(),
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    path.to_str().unwrap().to_owned()
}

/// What the links and pictures of a page point to, code left out.
fn targets(text: &str) -> Vec<String> {
    let prose = without_code(text);
    let ends = prose.split("](").skip(1);
    ends.map(|end| end.split_once(')').map_or(end, |(target, _)| target).to_owned()).collect()
}

fn without_code(text: &str) -> String {
    let outside_blocks: Vec<&str> = text.split("```").step_by(2).collect();
    outside_blocks.concat().split('`').step_by(2).collect::<Vec<_>>().join("code")
}

/// The names of the headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let outside_blocks: Vec<&str> = text.split("```").step_by(2).collect();
    let text = outside_blocks.concat();
    let headings = text
        .lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    let kept = |c: char| c.is_alphanumeric() || " -_".contains(c);
    headings
        .map(|heading| {
            heading.chars().filter(|&c| kept(c)).collect::<String>().to_lowercase().replace(' ', "-")
        })
        .collect()
}

#[test]
fn headings_are_named_as_github_names_them() {
    let text = "# `merge`: one file\n```sh\n# no heading\n```\n## What a launch can't carry\n";
    assert_eq!(anchors(text), ["merge-one-file", "what-a-launch-cant-carry"]);
}
