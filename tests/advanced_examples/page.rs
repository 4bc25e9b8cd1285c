//! The page in sections, each with its blocks of code: those of the original and ours.

use std::path::Path;

/// What stands below a heading.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) title: String,
    pub(super) original: Vec<String>,
    pub(super) ours: Vec<Block>,
}

#[derive(Debug)]
pub(super) struct Block {
    pub(super) language: String,
    pub(super) text: String,
}

/// Whose blocks follow.
#[derive(Debug, Clone, Copy)]
enum Side {
    Original,
    Ours,
}

pub(super) fn sections() -> Vec<Section> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/advanced-examples.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut sections: Vec<Section> = Vec::new();
    let mut side = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            sections.push(Section { title: title.to_owned(), ..Section::default() });
            side = None;
        } else if line == "**Original**" {
            side = Some(Side::Original);
        } else if line == "**With canfar-run**" {
            side = Some(Side::Ours);
        } else if let Some(language) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let text = block.join(
                "
",
            ) + "
";
            let section = sections.last_mut().expect("blocks are below headings");
            match side.unwrap_or_else(|| panic!("{}: whose block is it?", section.title)) {
                Side::Original => section.original.push(text),
                Side::Ours => section.ours.push(Block { language: language.to_owned(), text }),
            }
        }
    }
    sections
}

pub(super) fn section(title: &str) -> Section {
    let found = sections().into_iter().find(|section| section.title == title);
    found.unwrap_or_else(|| panic!("the page has no section {title:?}"))
}

/// The one snippet of the original in a section.
pub(super) fn original(title: &str) -> String {
    let [snippet] = <[String; 1]>::try_from(section(title).original).expect("one snippet");
    snippet
}

/// Our commands in a section, a line each, without comments.
pub(super) fn commands(title: &str) -> Vec<String> {
    let shell = section(title).ours.into_iter().filter(|block| block.language == "sh");
    let text = shell.map(|block| block.text).collect::<String>().replace("\\\n ", "");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// Our one command in a section.
pub(super) fn command(title: &str) -> String {
    let [command] = <[String; 1]>::try_from(commands(title)).expect("one command");
    command
}

/// A snippet as the body of a function.
pub(super) fn indented(snippet: &str) -> String {
    let lines: Vec<String> = snippet.lines().map(|line| format!("    {line}")).collect();
    lines.join("\n") + "\n"
}
