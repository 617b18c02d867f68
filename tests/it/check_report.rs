//! The HTML report of `mondo check`, read in a real browser.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::{program, reader::Reader};

const LOCAL: &[(&str, &str)] = &[("MONDO_SANDBOX", "local")];

/// What a page may try to do to whoever reads the report on it.
const EVIL: &str = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";

/// A folder with a page whose script fails at a click, with a message that is markup.
fn game() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "index.html",
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Bells</title>\n\
         <link rel=\"stylesheet\" href=\"style.css\">\n</head>\n<body>\n<h1>Bells</h1>\n\
         <button id=\"ring\">Ring</button>\n<script src=\"index.js\"></script>\n</body>\n</html>\n",
    );
    write("style.css", "h1 { color: #123 }\n");
    let script = format!(
        "function ring() {{\n  const words = {EVIL:?};\n  throw new Error(words);\n}}\n\n\
         document.getElementById('ring').addEventListener('click', () => {{\n  ring();\n}});\n\
         addEventListener('message', () => {{}});\n"
    );
    write("index.js", &script);
    folder
}

fn report_on(page: &Path, folder: &Path) -> PathBuf {
    let report = folder.join("report.html");
    let (page, name) = (page.display().to_string(), report.display().to_string());
    let output = program::run(&["check", &page, "--html", &name], LOCAL);
    assert_eq!(output.status.code(), Some(1), "{}", program::text(&output.stderr));
    report
}

#[tokio::test]
async fn the_report_shows_what_was_found_and_lets_nothing_of_the_page_run() {
    let folder = game();
    let reader = Reader::open(&report_on(folder.path(), folder.path())).await;
    let title: String = reader.read("document.title").await;
    assert!(title.starts_with("fail: "), "{title}");
    let foreign: usize =
        reader.read("document.querySelectorAll('script,iframe,link,[onerror]').length").await;
    assert_eq!(foreign, 0);
    let elsewhere: Vec<String> =
        reader.read("[...document.images].map((image) => image.src).filter((url) => !url.startsWith('data:image/png'))").await;
    assert_eq!(elsewhere, Vec::<String>::new());
    let drawn: Vec<bool> =
        reader.read("[...document.images].map((image) => image.complete && image.naturalWidth > 0)").await;
    assert!(drawn.len() >= 8 && drawn.iter().all(|drawn| *drawn), "{drawn:?}");
    let card: String = reader.read("document.querySelector('article.stops').innerText").await;
    for words in [EVIL, "blocking", "index.js:3:9", "click button \"Ring\"", "throw new Error(words);"] {
        assert!(card.contains(words), "{words} is not in {card}");
    }
    let stack: String = reader.read("document.querySelector('article details').textContent").await;
    assert!(stack.contains("index.js:3:9 ring") && stack.contains("index.js:7:3"), "{stack}");
    let coverage: String = reader.read("document.querySelector('[aria-label=Coverage]').innerText").await;
    assert!(
        coverage.contains("1 of 2 listeners reached") && coverage.contains("message on window"),
        "{coverage}"
    );
    reader.close().await;
}

#[tokio::test]
async fn the_report_fits_a_phone_and_both_schemes() {
    let folder = game();
    let reader = Reader::open(&report_on(folder.path(), folder.path())).await;
    for width in [360, 1280] {
        reader.resize(width).await;
        let wide: i64 = reader.read("document.documentElement.scrollWidth").await;
        assert!(wide <= width, "{wide} px are wider than {width} px");
    }
    let mut papers = Vec::new();
    for scheme in ["light", "dark"] {
        reader.prefer(scheme).await;
        papers.push(reader.read::<String>("getComputedStyle(document.body).backgroundColor").await);
    }
    assert_ne!(papers[0], papers[1]);
    reader.close().await;
}
