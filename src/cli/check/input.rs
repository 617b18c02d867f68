//! What is to be checked: files, directories, or what comes on stdin.

use std::{
    collections::HashMap,
    io::Read as _,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context as _, bail};
use mondo_jobs::{
    bundle::{SourceMap, bundle_named, named_files},
    finding::Report,
    place::Place,
    ports::sandbox::PAGE_BYTES_MAX,
    steps::replies::SourceFile,
};

/// The argument that means stdin.
const STDIN: &str = "-";

/// One page, and the files that its author wrote it in.
pub(super) struct Page {
    /// What a person calls it.
    pub(super) file: String,
    /// The page as the browser gets it.
    pub(super) source: String,
    /// The author's files by name, with the map to them; nothing where the page is one file.
    parts: Option<(HashMap<String, String>, SourceMap)>,
}

impl Page {
    /// The report, with the places of its findings in the author's files.
    pub(super) fn name_files(&self, mut report: Report) -> Report {
        let Some((_, map)) = &self.parts else { return report };
        for finding in &mut report.findings {
            let place = finding.line.map(|line| Place { line, column: finding.column.unwrap_or(1) });
            if let Some((file, Place { line, column })) = place.and_then(|place| map.locate(place)) {
                finding.file = Some(file.to_owned());
                (finding.line, finding.column) = (Some(line), finding.column.map(|_| column));
            }
            for frame in &mut finding.stack {
                let place = Place { line: frame.line, column: frame.column };
                if let Some((file, Place { line, column })) = map.locate(place) {
                    (frame.file, frame.line, frame.column) = (Some(file.to_owned()), line, column);
                }
            }
        }
        report
    }

    /// The text in which a line of a finding is counted.
    pub(super) fn text_of(&self, file: Option<&str>) -> &str {
        let part = file.zip(self.parts.as_ref()).and_then(|(name, (parts, _))| parts.get(name));
        part.unwrap_or(&self.source)
    }
}

/// Reads all of them.
///
/// # Errors
/// When one cannot be read or is no page, with its name.
pub(super) fn read(files: &[PathBuf]) -> anyhow::Result<Vec<Page>> {
    if files.iter().filter(|file| file.as_os_str() == STDIN).count() > 1 {
        bail!("stdin can be read only once; give `-` once");
    }
    files.iter().map(|file| page(file)).collect()
}

fn page(file: &Path) -> anyhow::Result<Page> {
    if file.as_os_str() == STDIN {
        let mut bytes = Vec::new();
        let limit = u64::try_from(PAGE_BYTES_MAX)? + 1;
        std::io::stdin().take(limit).read_to_end(&mut bytes).context("cannot read stdin")?;
        return Ok(Page { file: "stdin".to_owned(), source: text("stdin", bytes)?, parts: None });
    }
    if file.is_dir() {
        return directory(file);
    }
    Ok(Page { file: file.display().to_string(), source: content(file)?, parts: None })
}

/// The page that a directory makes.
fn directory(directory: &Path) -> anyhow::Result<Page> {
    let name = directory.display();
    let index = directory.join("index.html");
    if !index.is_file() {
        bail!("`{name}` has no index.html; give the path of a page");
    }
    let index = content(&index)?;
    let mut files = Vec::new();
    for filename in named_files(&index).with_context(|| format!("cannot read `{name}`"))? {
        let inside = Path::new(&filename).components().all(|part| matches!(part, Component::Normal(_)));
        let path = directory.join(&filename);
        let known = files.iter().any(|file: &SourceFile| file.filename == filename);
        // What is not there stays named, and the browser says that it is missing.
        if inside && !known && path.is_file() {
            files.push(SourceFile { filename, content: content(&path)? });
        }
    }
    files.push(SourceFile { filename: "index.html".to_owned(), content: index });
    let (source, map) = bundle_named(&files).with_context(|| format!("cannot put `{name}` together"))?;
    let parts = files.into_iter().map(|file| (file.filename, file.content)).collect();
    Ok(Page { file: name.to_string(), source, parts: Some((parts, map)) })
}

fn content(file: &Path) -> anyhow::Result<String> {
    let name = file.display().to_string();
    let hint = "give the path of an HTML file, of a directory with an index.html, or - for stdin";
    let bytes = std::fs::read(file).with_context(|| format!("cannot read `{name}`; {hint}"))?;
    text(&name, bytes)
}

fn text(name: &str, bytes: Vec<u8>) -> anyhow::Result<String> {
    if bytes.len() > PAGE_BYTES_MAX {
        bail!(
            "`{name}` has {} bytes, more than the {PAGE_BYTES_MAX} that a page may have; make it smaller",
            bytes.len()
        );
    }
    String::from_utf8(bytes)
        .map_err(|error| error.utf8_error())
        .with_context(|| format!("`{name}` is not UTF-8; convert it, for instance with iconv"))
}
